"""my-plugin: our own rules on a register.

`python3 -m unittest` runs the rules as they are; `tillhold plugin test` runs the cases in the sandbox of a register.
"""

import resolve
import transform
