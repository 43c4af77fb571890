// The contract's interface `resolve`, and conflicts column by column.

#include "abi.h"

const th_decision *th_find_decision(th_text table) {
    for (const th_decision *decision = th_decisions; decision->table; decision++)
        if (th_equal_names(decision->table, table)) return decision;
    return NULL;
}

th_text th_conflict_table(const th_conflict *conflict) { return th_of_abi(conflict->given->table); }

bool th_side_exists(const th_conflict *conflict, th_side side) { return conflict->given->sides[side].is_there; }

static th_value value_at(const th_conflict *conflict, th_side side, uint32_t at) {
    return th_value_of((const abi_value *)conflict->given->sides[side].values.at + at);
}

th_value th_side_value(const th_conflict *conflict, th_side side, const char *column) {
    const abi_list *names = conflict->given->columns.at;
    if (!th_side_exists(conflict, side)) th_fail(column, "the row does not exist on this side");
    for (uint32_t at = 0; at < conflict->given->columns.count; at++)
        if (th_equal_names(column, th_of_abi(names[at]))) return value_at(conflict, side, at);
    th_fail(column, "is not declared under reads");
}

// A side without the row differs from one that has it, whatever the cell.
static bool differ(const th_conflict *conflict, th_side one, th_side other, uint32_t at) {
    bool there = th_side_exists(conflict, one);
    if (!there || !th_side_exists(conflict, other)) return there != th_side_exists(conflict, other);
    return !th_same(value_at(conflict, one, at), value_at(conflict, other, at));
}

static th_winner won(th_winner winner, th_value channel, th_value offline) {
    if (winner != TH_LATER) return winner;
    int order = th_order(offline, channel);
    return order == 2 ? TH_PERSON : order > 0 ? TH_OFFLINE : TH_CHANNEL;
}

th_resolution th_merge(const th_conflict *conflict, th_winner (*winner)(th_text column)) {
    if (!th_side_exists(conflict, TH_CHANNEL_SIDE)) return th_defer("the channel deleted the row, the other side changed it");
    if (!th_side_exists(conflict, TH_OFFLINE_SIDE)) return th_defer("the register deleted the row, the other side changed it");
    uint32_t count = conflict->given->columns.count;
    const abi_list *names = conflict->given->columns.at;
    th_cell *cells = th_alloc(count * sizeof *cells + 1);
    th_text left = {NULL, 0};
    size_t taken = 0;
    for (uint32_t at = 0; at < count; at++) {
        if (!differ(conflict, TH_OFFLINE_SIDE, TH_CHANNEL_SIDE, at)) continue;
        if (!differ(conflict, TH_OFFLINE_SIDE, TH_BASE_SIDE, at)) continue;
        th_text name = th_of_abi(names[at]);
        th_value offline = value_at(conflict, TH_OFFLINE_SIDE, at);
        th_winner who = TH_OFFLINE;
        if (differ(conflict, TH_CHANNEL_SIDE, TH_BASE_SIDE, at))
            who = won(winner(name), value_at(conflict, TH_CHANNEL_SIDE, at), offline);
        if (who == TH_PERSON) left = left.at ? th_joined(3, left, th_string(", "), name) : name;
        else if (who == TH_OFFLINE) cells[taken++] = (th_cell){name, offline};
    }
    if (!left.at) return th_merged(cells, taken);
    return (th_resolution){.answer = TH_DEFERRED, .reason = th_joined(2, th_string("both sides changed "), left)};
}

th_resolution th_take_channel(void) { return (th_resolution){.answer = TH_TAKE_CHANNEL}; }
th_resolution th_take_offline(void) { return (th_resolution){.answer = TH_TAKE_OFFLINE}; }
th_resolution th_merged(th_cell *cells, size_t count) {
    return (th_resolution){.answer = TH_MERGED, .cells = cells, .count = count};
}
th_resolution th_defer(const char *reason) {
    return (th_resolution){.answer = TH_DEFERRED, .reason = th_string(reason)};
}

abi_resolution th_abi_resolution(th_resolution decided) {
    abi_resolution resolution = {.tag = (uint8_t)decided.answer};
    if (decided.answer == TH_DEFERRED) resolution.value = th_abi_text(decided.reason);
    if (decided.answer == TH_MERGED) {
        abi_cell *cells = th_alloc(decided.count * sizeof *cells + 1);
        for (size_t at = 0; at < decided.count; at++)
            cells[at] = (abi_cell){th_abi_text(decided.cells[at].column), th_abi_value(decided.cells[at].value)};
        resolution.value = (abi_list){cells, (uint32_t)decided.count};
    }
    return resolution;
}

static abi_result *answered(bool is_error, abi_list value) {
    abi_result *result = th_alloc(sizeof *result);
    result->is_error = is_error;
    result->values[0] = value;
    return result;
}

EXPORT("tillhold:plugin/resolve@0.1.0#describe")
abi_result *th_resolve_describe(char *config, uint32_t size) {
    const char *wrong = th_config_error((th_text){config, size});
    if (wrong) return answered(true, th_abi_text(th_string(wrong)));
    uint32_t count = 0;
    while (th_decisions[count].table) count++;
    abi_table_use *used = th_alloc(count * sizeof *used + 1);
    for (uint32_t at = 0; at < count; at++)
        used[at] = th_table_use(th_decisions[at].table, th_decisions[at].reads, th_decisions[at].writes);
    return answered(false, (abi_list){used, count});
}

EXPORT("tillhold:plugin/resolve@0.1.0#resolve")
abi_result *th_resolve(
    char *config, uint32_t config_size, int32_t flow, char *scope, uint32_t scope_size, char *store,
    uint32_t store_size, char *reg, uint32_t reg_size, int64_t time, abi_conflict *conflicts, uint32_t count) {
    th_context context = {(th_flow)flow, {scope, scope_size}, {store, store_size}, {reg, reg_size}, time,
                          {config, config_size}};
    abi_resolution *resolutions = th_alloc(count * sizeof *resolutions + 1);
    for (uint32_t at = 0; at < count; at++) {
        const th_decision *decision = th_find_decision(th_of_abi(conflicts[at].table));
        if (!decision) return answered(true, th_abi_text(th_string("there is no decision for the table")));
        th_conflict conflict = {&conflicts[at]};
        resolutions[at] = th_abi_resolution(decision->decide(&context, &conflict));
    }
    return answered(false, (abi_list){resolutions, count});
}
