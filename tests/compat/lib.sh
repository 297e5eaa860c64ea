# What the scripts share that run published crates' own tests: the tables of crates, copies of their
# sources, packages in the place of others, and the results of a run. Sourced, with `work` set to the
# folder everything is written to.

# name | version | what `cargo test` is told | what it is
crates='
concurrent-queue | 2.5.0  | --features loom --test loom                     | MPMC queue
oneshot          | 0.1.13 | --features loom --test loom                     | one-shot channel
left-right       | 0.11.8 | --test loom                                     | left-right map
parking          | 2.2.1  | --features loom --test loom                     | thread parker
event-listener   | 5.4.2  | --features loom --test loom                     | event notification
boxcar           | 0.2.14 | --features loom --test loom --test loom_buckets | append-only vector
st3              | 0.4.1  | --test integration                              | work-stealing queue
bytes            | 1.12.2 | --lib fuzz                                      | reference-counted buffer
'

# Packages that only the crates' benchmarks and other tests use: empty ones are built in their place.
# name | version | features
unused='
async-std        | 1.99.0  | attributes
criterion        | 0.3.99  |
criterion        | 0.5.99  | cargo_bench_support html_reports
criterion        | 0.8.99  | cargo_bench_support html_reports
crossbeam-deque  | 0.8.99  |
tokio            | 1.99.0  | rt rt-multi-thread macros time full
'

# Each crate has its own name for the one cfg.
loom_flags='--cfg loom --cfg oneshot_loom --cfg st3_loom --cfg diatomic_waker_loom --cfg async_event_loom -A warnings'

lib=$(dirname "${BASH_SOURCE[0]}")
unset RACEFUZZ_SEED RACEFUZZ_STRATEGY RACEFUZZ_MEMORY RACEFUZZ_MODE RACEFUZZ_REPLAY RACEFUZZ_INJECT
unset RUST_BACKTRACE

# The rows of a table above, without comments and without the blanks around fields.
rows() { sed -e '/^#/d' -e '/^$/d' -e 's/[[:space:]]*|[[:space:]]*/|/g' -e 's/[[:space:]]*$//' <<<"$1"; }

# Writes a file unless it has that content already, so that cargo builds nothing again.
keep() {
    mkdir -p "$(dirname "$1")"
    local text
    text=$(cat)
    [[ -f $1 && $(<"$1") == "$text" ]] || printf '%s\n' "$text" >"$1"
}

# A package of ours in the place of one from the registry.
shim() { # folder name version features dependencies source
    keep "$work/$1/Cargo.toml" <<EOF
[package]
name = "$2"
version = "$3"
edition = "2021"

[features]
$(for feature in $4; do echo "$feature = []"; done)

[dependencies]
$5
EOF
    keep "$work/$1/src/lib.rs" <<<"$6"
    patches+="${1//[^a-z0-9]/-} = { package = \"$2\", path = \"$work/$1\" }"$'\n'
}

shim_unused() {
    local name version features
    while IFS='|' read -r name version features; do
        shim "unused/$name-$version" "$name" "$version" "$features" "" ""
    done < <(rows "$unused")
}

# A workspace of copied packages, in which `patches` holds.
workspace() { # folder
    keep "$1/Cargo.toml" <<EOF
[workspace]
resolver = "2"
members = ["crates/*"]

[profile.dev]
opt-level = 1
debug = "line-tables-only"

[profile.dev.package."*"]
opt-level = 2
debug = false

[profile.release]
debug = "line-tables-only"

[patch.crates-io]
$patches
EOF
}

# Copies packages of the registry, unless that was done before: cargo fetches them, and says where
# they are.
copy_sources() { # table folder...
    keep "$work/fetch/Cargo.toml" <<EOF
[package]
name = "fetch"
version = "0.0.0"
edition = "2021"
[workspace]
[dependencies]
$(rows "$1" | while IFS='|' read -r name version _; do
        echo "\"$name-${version//./-}\" = { package = \"$name\", version = \"=$version\" }"
    done)
EOF
    keep "$work/fetch/src/lib.rs" </dev/null
    local host packages name version folder
    host=$(rustc -vV | sed -n 's/^host: //p')
    packages=$(cd "$work/fetch" && cargo metadata --quiet --format-version 1 --filter-platform "$host" |
        tr ',' '\n' | sed -n 's/^"manifest_path":"\(.*\)\/Cargo.toml"$/\1/p')
    while IFS='|' read -r name version _; do
        for folder in "${@:2}"; do
            [[ -d $folder/$name-$version ]] && continue
            mkdir -p "$folder"
            rm -rf "$work/copy"
            cp -R "$(grep "/$name-$version\$" <<<"$packages")" "$work/copy"
            mv "$work/copy" "$folder/$name-$version"
        done
    done < <(rows "$1")
}

# Builds a crate's tests (by the time `limit`) and runs them, for so many seconds at most. Leaves how it went in the variables status (124: its time was
# up), passed, failed and seconds (of processor time), and in LOG.txt (the output), LOG.passed,
# LOG.findings and LOG.counts (the executions of each model, which the tests' environment asks for).
run_tests() { # folder log most-seconds cargo-arguments test-arguments
    local log=$2 most=$3 began=$SECONDS
    local -a cargo tests
    read -ra cargo <<<"$4"
    read -ra tests <<<"$5"
    cargo=(cargo test --quiet --color never --no-fail-fast "${cargo[@]}")
    status=0 seconds=0
    mkdir -p "$(dirname "$log")"
    rm -f "$log".*
    (cd "$1" && timeout $((limit - SECONDS)) "${cargo[@]}" --no-run) >"$log.txt" 2>&1 || status=$?
    local built=$((SECONDS - began))
    began=$SECONDS
    if ((status == 0)); then
        local host
        host=$(rustc -vV | sed -n 's/^host: //p' | tr 'a-z-' 'A-Z_')
        : >"$log.time"
        (
            cd "$1"
            export RACEFUZZ_COUNT_FILE=$log.counts RACEFUZZ_TIME_FILE=$log.time
            export "CARGO_TARGET_${host}_RUNNER=$lib/timed"
            timeout "$most" "${cargo[@]}" -- --format=pretty "${tests[@]}"
        ) >>"$log.txt" 2>&1 || status=$?
        seconds=$(awk '{ sum += $1 + $2 } END { print sum + 0 }' "$log.time")
    fi
    echo "$(basename "$log"): built in $built s, run in $((SECONDS - began)) s" >&2
    touch "$log.counts"
    sed -n 's/^test \(.*\) \.\.\. ok$/\1/p' "$log.txt" | sed 's/ - should panic$//' | sort >"$log.passed"
    sed -n 's/^test \(.*\) \.\.\. FAILED$/\1/p' "$log.txt" | sed 's/ - should panic$//' | sort >"$log.findings"
    passed=$(wc -l <"$log.passed")
    failed=$(wc -l <"$log.findings")
    # Neither all passed nor is there a failed one to blame.
    if ((status != 124 && (passed + failed == 0 || (status != 0 && failed == 0)))); then
        tail -n 40 "$log.txt" >&2
        echo "$(basename "$log"): no result, see $log.txt"
        exit 1
    fi
}

# The executions of a run.
executions() { awk -F'\t' '{ sum += $2 } END { print sum + 0 }' "$1.counts"; }

# `--skip` for each test of a table with the crate's name in front.
skips() { # table name
    local name
    rows "$1" | grep "^$2|" | while IFS='|' read -r _ name _; do printf ' --skip %s' "$name"; done || true
}

# Whether a crate was asked for, or none was.
chosen() { [[ -z $only || " $only" == *" $1 "* ]]; }
