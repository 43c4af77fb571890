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

# The front door against its own OpenAPI document (just door 100)
door *examples:
    tests/door/run {{examples}}

# Plugins in every language (just tongues python)
tongues *names:
    tests/tongues/run {{names}}

# Microsoft's own parser over every statement for SQL Server
grammar:
    tests/grammar/run

# The simulated store, until a seed fails (just sim --minutes 10; just sim --from 1 --seeds 500)
sim *arguments:
    cargo run --release -p tillhold-sim -- run {{arguments}}

# One seed of it, line by line (just replay 4; just replay 7 --size busy)
replay seed *arguments:
    cargo run --release -p tillhold-sim -- replay {{seed}} --trace {{arguments}}

# Bugs planted one after the other: the simulated store must find each within 50 seeds (just planted unsynced)
planted *names:
    tests/sim/planted/run {{names}}

# Format all code
fmt:
    cargo fmt --all

# The lints alone
lint:
    cargo clippy --workspace --all-targets -- -D warnings

# Everything measured, beside its ceiling and its bar (just bench --only price sale; just bench --json FILE --against FILE)
bench *arguments:
    cargo run --release -p tillhold-bench -- {{arguments}}

# A first load of a million rows, against reading them and against inserting them (just bench-snapshot --rows 100000)
bench-snapshot *arguments:
    cargo bench --bench channel_snapshot -- {{arguments}}

# 2,000 unsent sales of 20 lines on their way up, with their round trips (just bench-upload --sales 200)
bench-upload *arguments:
    cargo bench --bench channel_upload -- {{arguments}}

# A pull of what changed in tables of 10,000, 100,000 and 1,000,000 rows: it costs by the change (just bench-changes --rows 10000)
bench-changes *arguments:
    cargo bench --bench channel_changes -- {{arguments}}

# What 1, 10 and 30 registers with nothing to do cost their channel (just bench-idle --registers 30 --seconds 20)
bench-idle *arguments:
    cargo bench --bench channel_idle -- {{arguments}}

# A local-first sale of 23 rows, against the same rows in bare SQLite (just bench-sale --sales 2000)
bench-sale *arguments:
    cargo bench --bench sale -- {{arguments}}

# Barcode lookups at a million barcodes through the front door (just bench-price --connections 4)
bench-price *arguments:
    cargo bench --bench price -- {{arguments}}

# 100 cuts of five kinds while 20 cashiers sell, both write paths (just bench-cut --cuts 10)
bench-cut *arguments:
    cargo bench --bench cuts -- {{arguments}}

# 2,000 sales made offline, until they are in the channel (just bench-backlog --sales 200)
bench-backlog *arguments:
    cargo bench --bench backlog -- {{arguments}}

# Memory and processor time of an idle agent with five plugins (just bench-idle-agent --seconds 10)
bench-idle-agent *arguments:
    cargo bench --bench idle_agent -- {{arguments}}

# Dataset L into one register (just bench-large --share 0.1)
bench-large *arguments:
    cargo bench --bench large_load -- {{arguments}}

# A first load with a plugin and without (just bench-plugin --rows 100000)
bench-plugin *arguments:
    cargo bench --bench plugin_load -- {{arguments}}

# A price changed at the channel until the register answers with it (just bench-delta --prices 100000)
bench-delta *arguments:
    cargo bench --bench delta -- {{arguments}}

# A sale of nine lines, online and offline, alone and among others (just bench-commit --sales 100)
bench-commit *arguments:
    cargo bench --bench commit -- {{arguments}}

# kill -9 until the first sale; the start after a month offline (just bench-recovery --share 0.1)
bench-recovery *arguments:
    cargo bench --bench recovery -- {{arguments}}

# 40 registers: all filled at once, a burst, an outage's sales (just bench-fleet --registers 10)
bench-fleet *arguments:
    cargo bench --bench fleet -- {{arguments}}

# The proof with a store's registers as processes, larger than in the tests (just fleet 60 30)
fleet registers="30" sales="9":
    TILLHOLD_FLEET_REGISTERS={{registers}} TILLHOLD_FLEET_SALES={{sales}} cargo test -p tillhold --test suite fleet

# One target of tests/harm under libFuzzer, with a nightly compiler (just fuzz channel -max_total_time=600)
fuzz target *arguments:
    mkdir -p target/harm/fuzz target/harm/learnt/{{target}}
    cargo +nightly fuzz run --fuzz-dir tests/fuzz --target-dir target/fuzz --sanitizer none --codegen-units 16 {{ if target =~ "embedded|channel" { "" } else { "--features agent" } }} {{target}} target/harm/learnt/{{target}} tests/harm/corpus/{{target}} -- -artifact_prefix=target/harm/fuzz/ -timeout=60 -rss_limit_mb=1500 {{arguments}}
