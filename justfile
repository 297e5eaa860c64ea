default:
    @just --list

# Run the loom tests of published crates, unmodified, under racefuzz.
real *arguments:
    tests/real/run {{arguments}}
