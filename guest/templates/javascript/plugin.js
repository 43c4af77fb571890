// my-plugin: our own rules on a register.
//
// `npm test` runs the rules as they are; `tillhold plugin test` runs the cases in the sandbox of a register.

import "./resolve.js";
import "./transform.js";
