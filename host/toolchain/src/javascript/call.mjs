// node call.mjs ENTRY WORLD WIT OUTPUT
import { componentize } from "@bytecodealliance/componentize-js";
import { writeFileSync } from "node:fs";

const [sourcePath, worldName, witPath, output] = process.argv.slice(2);
try {
  const disableFeatures = ["random", "stdio", "clocks", "http", "fetch-event"];
  const { component } = await componentize({ sourcePath, worldName, witPath, disableFeatures });
  writeFileSync(output, component);
} catch (error) {
  console.error(error?.message ?? String(error));
  process.exit(1);
}
