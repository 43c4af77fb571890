//! The contract inside a built plugin is the text in `wit/`: the kit's committed bindings are current.

use super::shop::{component, repository};
use wit_component::{DecodedWasm, WitPrinter};
use wit_parser::{Resolve, WorldId};

/// The interfaces that `world` exports and imports, as one text.
fn printed(resolve: &Resolve, world: WorldId) -> String {
    let mut interfaces = Vec::new();
    let world = &resolve.worlds[world];
    for (key, _) in world.imports.iter().chain(&world.exports) {
        interfaces.push(resolve.name_world_key(key));
    }
    interfaces.sort();
    interfaces.dedup();
    interfaces.join("\n")
}

/// The items of the package `tillhold:plugin`, without its worlds and documentation, in an order of our own: a
/// component may hold its types in another than the text does.
fn items(resolve: &mut Resolve) -> Vec<String> {
    let found = resolve.packages.iter().find(|(_, package)| package.name.name == "plugin");
    let (id, _) = found.expect("the package is there");
    resolve.packages[id].worlds.clear();
    let mut printer = WitPrinter::default();
    printer.emit_docs(false);
    printer.print(resolve, id, &[]).expect("a package can be printed");
    let text = printer.output.to_string();
    // Items are a blank line apart; an interface's end sticks to its last item.
    let item = |block: &str| block.trim().trim_end_matches("\n}").to_string();
    let mut items: Vec<String> = text.split("\n\n").map(item).collect();
    items.sort();
    items
}

#[test]
fn built_plugins_carry_the_released_contract() {
    for (plugin, world) in
        [("store-customers", "transformer"), ("customer-merge", "resolver"), ("hostile", "both")]
    {
        let mut released = Resolve::default();
        let (id, _) = released.push_path(repository().join("wit/0.1.0")).expect("wit/0.1.0");
        let world = released.select_world(&[id], Some(world)).expect("the world");
        let decoded = wit_component::decode(&component(plugin)).expect("a component");
        let DecodedWasm::Component(built, root) = decoded else { panic!("{plugin}: a package") };
        assert_eq!(printed(&built, root), printed(&released, world), "{plugin}");
    }
    let mut released = Resolve::default();
    released.push_path(repository().join("wit/0.1.0")).expect("wit/0.1.0");
    let decoded = wit_component::decode(&component("hostile")).expect("a component");
    let mut built = decoded.resolve().clone();
    let (built, released) = (items(&mut built), items(&mut released));
    assert!(released.len() > 20, "{released:?}");
    assert_eq!(built, released);
}
