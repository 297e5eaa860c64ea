# What the scripts share that run published crates' own tests: the tables of crates, copies of their
# sources, packages in the place of others, and the results of a run. Sourced, with `root` set to the
# repository and `limit` to the seconds the script may take.
#
# Both scripts work in one folder, with the same compiler flags: what one has built the other need not.

# The users of loom: those that tests/real runs.
# name | version | what `cargo test` is told, behind -- the part of a test's name | what it is
crates='
concurrent-queue | 2.5.0  | --features loom --test loom                     | MPMC queue
oneshot          | 0.1.13 | --features loom --test loom                     | one-shot channel
left-right       | 0.11.8 | --test loom                                     | left-right map
parking          | 2.2.1  | --features loom --test loom                     | thread parker
event-listener   | 5.4.2  | --features loom --test loom                     | event notification
boxcar           | 0.2.14 | --features loom --test loom --test loom_buckets | append-only vector
st3              | 0.4.1  | --test integration                              | work-stealing queue
bytes            | 1.12.2 | --lib -- fuzz                                   | reference-counted buffer
'

# More of them.
more_crates='
diatomic-waker   | 0.2.3  | --lib -- loom_                                  | waker cell for one consumer
async-event      | 0.2.1  | --lib -- loom_                                  | asynchronous event
sharded-slab     | 0.1.7  | --features loom --lib -- loom                   | concurrent slab
haphazard        | 0.1.8  | --test loom                                     | hazard pointers
swap-buffer-queue | 0.2.1 | --lib                                           | buffering MPSC queue
cordyceps        | 0.3.5  | --features std --lib -- loom::                  | intrusive lists, queues, stacks
saa              | 5.6.2  | --features loom --lib                           | word-sized locks
scc              | 3.8.8  | --features loom --lib                           | concurrent maps
arcshift         | 0.4.10 | --features loom,validate,disable_slow_tests --lib | swappable shared value
loom             | 0.7.3  | --features futures --tests                      | its own tests
'

# Those whose tests need a tokio that does something: in a workspace of their own, where the unused
# packages are as they are.
tokio_crates='
tokio            | 1.54.1 | --features full --lib -- sync::tests             | synchronisation of an async runtime
'

# Packages that only the crates' benchmarks and other tests use: empty ones are built in their place.
# name | version | features
unused='
async-std        | 1.99.0  | attributes
criterion        | 0.3.99  |
criterion        | 0.5.99  | cargo_bench_support html_reports
criterion        | 0.8.99  | async_futures cargo_bench_support html_reports
crossbeam-deque  | 0.8.99  |
dashmap          | 6.99.0  |
flurry           | 0.5.99  |
memory-stats     | 1.99.0  |
mimalloc         | 0.1.99  |
pollster         | 0.3.99  |
selfsimilar      | 0.1.99  |
shumai           | 0.2.99  |
slab             | 0.4.99  |
tokio            | 1.99.0  | rt rt-multi-thread macros time full test-util
tokio-test       | 0.4.99  |
'

# Each crate has its own name for the one cfg.
loom_flags='--cfg loom --cfg oneshot_loom --cfg st3_loom --cfg diatomic_waker_loom --cfg async_event_loom --cap-lints allow'

work=$root/target/ported
unset RACEFUZZ_SEED RACEFUZZ_STRATEGY RACEFUZZ_MEMORY RACEFUZZ_MODE RACEFUZZ_REPLAY RACEFUZZ_INJECT
export CARGO_INCREMENTAL=0 LC_ALL=C
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
        shim "shims/$name-$version" "$name" "$version" "$features" "" ""
    done < <(rows "$unused")
}

# A workspace of copied packages, in which `patches` holds.
workspace() { # folder [folder-of-members]
    keep "$1/Cargo.toml" <<EOF
[workspace]
resolver = "2"
members = ["${2-crates}/*"]

[profile.dev]
opt-level = 1
debug = "line-tables-only"

# The tools, which are to run as in a release, and to be built soon.
[profile.dev.package."*"]
opt-level = 2
debug = false
debug-assertions = false
overflow-checks = false

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

# loom's own tests become a package without loom's sources.
own_tests() { # workspace
    local folder=$work/$1/crates/loom-0.7.3
    rm -rf "$folder/src" "$folder/Cargo.toml.orig"
    keep "$folder/Cargo.toml" <<EOF
[package]
name = "loom-tests"
version = "0.7.3"
edition = "2018"

[lib]
path = "lib.rs"

[features]
futures = []

[dependencies]
loom = "0.7"

[dev-dependencies]
futures-util = "0.3"
EOF
    keep "$folder/lib.rs" </dev/null
}

# A workspace of loom's or shuttle's users, with racefuzz in its place. It has the peer's name, if no
# other.
racefuzz_workspace() { # peer lines crates features [name]
    local line others=$patches space=${5-$1}
    copy_sources "$3" "$work/$space-racefuzz/crates"
    for line in $2; do
        shim "shims/$1-racefuzz-$line" "$1" "$line.99" "$4" \
            "real = { package = \"racefuzz-$1\", path = \"$root/crates/$1\" }" 'pub use real::*;'
    done
    [[ $space != loom ]] || own_tests loom-racefuzz
    workspace "$work/$space-racefuzz"
    racefuzz_patches=$patches
    patches=$others
}

# Builds a crate's tests. Leaves a line "target binary" for each test binary in LOG.binaries.
build_tests() { # folder log cargo-arguments
    local log=$2 began=$SECONDS
    local -a cargo
    read -ra cargo <<<"${3%% -- *}"
    mkdir -p "$(dirname "$log")"
    rm -rf "$log" "$log".*
    if ! (cd "$1" && timeout $((limit > SECONDS ? limit - SECONDS : 1)) \
        cargo test --color never --target-dir "$work/target" --no-run "${cargo[@]}") >"$log.build" 2>&1; then
        ((SECONDS < limit)) || time_up "$(basename "$log")"
        tail -n 40 "$log.build" >&2
        echo "$(basename "$log"): not built, see $log.build"
        exit 1
    fi
    sed -n 's/^ *Executable .*[ /]\([^ /]*\)\.rs (\(.*\))$/\1 \2/p' "$log.build" >"$log.binaries"
    echo "$(basename "$log"): built in $((SECONDS - began)) s" >&2
}

# Runs each test of a crate in a process of its own, `jobs` side by side, each for so many seconds at
# most. Leaves a line for each in LOG.results, as `one` prints it, and what it wrote in LOG/.
run_tests() { # folder log most-seconds cargo-arguments skipped-tests [--include-ignored]
    local log=$2 most=$3 began=$SECONDS target binary test deadline ignored part=
    [[ $4 != *" -- "* ]] || part=${4##* -- }
    deadline=$(($(date +%s) + limit - SECONDS))
    mkdir -p "$log"
    while read -r target binary; do
        ignored=
        [[ -n ${6-} ]] || ignored=$(cd "$1" && "$binary" --list --ignored | sed -n 's/: test$//p')
        (cd "$1" && "$binary" --list $part) | sed -n 's/: test$//p' | while read -r test; do
            [[ $'\n'$5$'\n'$ignored$'\n' != *$'\n'"$test"$'\n'* ]] || continue
            printf '%s\n' "$target" "$binary" "$test"
        done
    done <"$log.binaries" | (cd "$1" && CARGO_MANIFEST_DIR=$PWD xargs -r -d '\n' -n 3 -P "$jobs" \
        "$root/tests/compat/one" "$log" "$most" "$deadline") >"$log.unsorted"
    sort "$log.unsorted" >"$log.results"
    echo "$(basename "$log"): run in $((SECONDS - began)) s" >&2
    if cut -d' ' -f2 "$log.results" | grep -qx late; then time_up "$(basename "$log")"; fi
}

# Ends the script if a crate that should have tests has none.
must_have_tests() { # log
    [[ -s $1.results ]] && return
    echo "$(basename "$1"): no tests, see $1.build"
    exit 1
}

time_up() { # what
    echo "$1: the time is up"
    exit 3
}

# The sum of a column of results: of tests with an outcome, or of all.
total() { # log column [outcome]
    awk -v column="$2" -v outcome="${3-}" 'outcome == "" || $2 == outcome { sum += $column }
        END { print sum + 0 }' "$1.results"
}

# The number of tests with an outcome, or of all.
count() { # log [outcome]
    awk -v outcome="${2-}" 'outcome == "" || $2 == outcome { n++ } END { print n + 0 }' "$1.results"
}

# The tests of a table with the crate's name in front, one a line.
tests_of() { # table name
    rows "$1" | awk -F'|' -v crate="$2" '$1 == crate { print $2 }'
}

# Whether a crate was asked for, or none was.
chosen() { [[ -z $only || " $only" == *" $1 "* ]]; }
