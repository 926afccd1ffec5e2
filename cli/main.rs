//! The `layerprint` command.

fn main() {}
