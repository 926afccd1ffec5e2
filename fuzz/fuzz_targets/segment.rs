#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| layerprint_fuzz::segment::run(bytes));
