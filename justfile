default:
    @just --list

# Run the loom tests of published crates, unmodified, under racefuzz.
real *arguments:
    tests/real/run {{arguments}}

# Run the loom and shuttle tests of published crates under racefuzz and under loom or shuttle.
compat *arguments:
    tests/compat/run {{arguments}}
