//! Writes the seeds, before nothing is fuzzed: `cargo run --release --bin seeds -- -runs=0`. Whatever is compiled with coverage needs
//! libFuzzer, and with it its `main`.

#![no_main]

libfuzzer_sys::fuzz_target!(init: layerprint_fuzz::seeds::write(), |_bytes: &[u8]| ());
