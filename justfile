# Runs what CI runs
check:
    .ci/run

# Runs all tests
test:
    cargo test --workspace --locked

# Fuzzes a target: just fuzz tar -max_total_time=600; fuzz/README.md lists them
fuzz target *options:
    fuzz/run {{target}} {{options}}

# Runs the benchmarks
bench:
    cargo bench --workspace

# Measures ingest beside its limit and beside other tools; an hour on a quiet machine (just bench-ingest --scale FOLDER)
bench-ingest *arguments:
    cargo bench --bench ingest -- --sets gzip,zstd,plain,many,tiny,archives,huge,scale --decompressors --by-hand --perf {{arguments}}

# Makes images from files of this machine and finds what they are built on
demo:
    cargo run --release --locked -- demo

# Takes the pictures of the HTML report that the documentation shows; look at them
screenshots:
    cargo test --test report_html -- --ignored pictures_are_taken

# Kills, failing disks, power failures and flipped bits, all of them; forty minutes (just crash --part flips --tries 100)
crash *arguments:
    cargo bench --bench crash -- --whole {{arguments}}
