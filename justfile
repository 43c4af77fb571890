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

# Microsoft's own parser over every statement for SQL Server
grammar:
    tests/grammar/run

# Format all code
fmt:
    cargo fmt --all

# The lints alone
lint:
    cargo clippy --workspace --all-targets -- -D warnings

# The measured rates: a first load against its two ceilings, then the demo at ten times its size
bench: bench-snapshot bench-upload
    cargo run --release -- demo --scale 10

# A first load of a million rows, against reading them and against inserting them (just bench-snapshot --rows 100000)
bench-snapshot *arguments:
    cargo bench --bench channel_snapshot -- {{arguments}}

# 2,000 unsent sales of 20 lines on their way up, with their round trips (just bench-upload --sales 200)
bench-upload *arguments:
    cargo bench --bench channel_upload -- {{arguments}}
