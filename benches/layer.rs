//! How fast one layer is read, beside the sum of what cannot be avoided.
//!
//! The layer is made from a fixed seed: 2,000 files of up to 64 KiB, half of them text-like, 62 MiB in all. For each
//! compression: our whole path (blob digest, decompression, diff ID, tar, BLAKE3 of each file, fingerprint), then
//! its parts alone on the same bytes, then the obvious program: the `tar` crate over the same decompressor and hashes.
//! Leaves out the disk (everything is in memory) and the store.

use std::hint::black_box;
use std::io::{self, Read};

use criterion::{
    BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main, measurement::WallTime,
};
use layerprint_ingest::Limits;
use layerprint_ingest::layer::{Promise, read_layer};
use layerprint_ingest::write::{Compression, Layer};
use sha2::{Digest, Sha256};

const FILES: u64 = 2_000;
const FILE_BYTES_MAX: u64 = 64 << 10;

/// xorshift64*: small, seeded, good enough to fill files.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn pick<'a>(&mut self, words: &[&'a [u8]]) -> &'a [u8] {
        let index = self.next() % words.len() as u64;
        words[usize::try_from(index).expect("less than the number of words")]
    }
}

fn layer() -> Vec<u8> {
    let mut random = Random(20_261_121);
    let mut layer = Layer::new();
    for number in 0..FILES {
        let size = random.next() % FILE_BYTES_MAX;
        let words = [&b"module "[..], b"request ", b"value = 1\n", b"0123456789 "];
        let mut body = Vec::new();
        while (body.len() as u64) < size {
            match number % 2 {
                0 => body.extend_from_slice(random.pick(&words)),
                _ => body.extend_from_slice(&random.next().to_le_bytes()),
            }
        }
        layer = layer.file(format!("usr/lib/part{}/file{number}", number % 40), body);
    }
    layer.to_tar().expect("the layer is ours")
}

fn read(stored: &[u8]) {
    let read = read_layer(stored, &Promise::default(), &Limits::default(), &|_| ());
    black_box(read.expect("the layer is whole"));
}

fn obvious(decoder: impl Read) -> io::Result<()> {
    let mut archive = tar::Archive::new(Hashing(decoder, Sha256::new()));
    for entry in archive.entries()? {
        let mut hasher = blake3::Hasher::new();
        io::copy(&mut entry?, &mut hasher)?;
        black_box(hasher.finalize());
    }
    Ok(())
}

struct Hashing<R>(R, Sha256);

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.0.read(buffer)?;
        self.1.update(&buffer[..count]);
        Ok(count)
    }
}

fn decoder(compression: Compression, stored: &[u8]) -> Box<dyn Read + '_> {
    match compression {
        Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(stored)),
        Compression::Zstd => Box::new(zstd::Decoder::new(stored).expect("the frame is ours")),
        _ => Box::new(stored),
    }
}

fn compare(group: &mut BenchmarkGroup<WallTime>, compression: Compression, tar: &[u8]) {
    let stored = compression.compress(tar);
    group.throughput(Throughput::Bytes(tar.len() as u64));
    group.bench_function("layerprint", |bench| bench.iter(|| read(&stored)));
    group.bench_function("part: decompress", |bench| {
        bench.iter(|| io::copy(&mut decoder(compression, &stored), &mut io::sink()))
    });
    group.bench_function("part: sha256 of the blob", |bench| bench.iter(|| Sha256::digest(&stored)));
    group.bench_function("part: sha256 of the tar", |bench| bench.iter(|| Sha256::digest(tar)));
    group.bench_function("part: blake3 of the tar", |bench| bench.iter(|| blake3::hash(tar)));
    group.bench_function("tar crate, streaming", |bench| {
        bench.iter(|| {
            let blob = Sha256::digest(&stored);
            obvious(decoder(compression, &stored)).expect("the layer is whole");
            blob
        })
    });
}

fn layers(criterion: &mut Criterion) {
    let tar = layer();
    for (name, compression) in
        [("plain", Compression::None), ("gzip", Compression::Gzip), ("zstd", Compression::Zstd)]
    {
        let mut group = criterion.benchmark_group(name);
        group.sample_size(10);
        compare(&mut group, compression, &tar);
        group.finish();
    }
}

criterion_group!(benches, layers);
criterion_main!(benches);
