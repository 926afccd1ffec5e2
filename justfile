# Runs what CI runs
check:
    .ci/run

# Runs all tests
test:
    cargo test --workspace

# Runs the benchmarks
bench:
    cargo bench --workspace

# Makes images from files of this machine and finds what they are built on
demo:
    cargo run --release --locked -- demo
