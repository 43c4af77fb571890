# A convenience: everything here is a plain cargo command too.

# What there is to run
default:
    @just --list

# All that CI runs: format, lints, tests
check:
    .ci/run

# The tests; arguments go to cargo (just test -p tillhold-core)
test *arguments="--workspace":
    cargo test {{arguments}}

# The main job from one command (just demo --scale 10)
demo *arguments:
    cargo run --release -- demo {{arguments}}

# Clients of other makers against the embedded channel (just clients pymssql)
clients *names:
    tests/clients/run {{names}}

# Format all code
fmt:
    cargo fmt --all

# The lints alone
lint:
    cargo clippy --workspace --all-targets -- -D warnings

# The measured rates: the demo at ten times its size prints them at its end
bench:
    cargo run --release -- demo --scale 10
