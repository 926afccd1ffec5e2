//! The same work by hand: public tools on the same bytes.
//!
//! None of them does all of it. `stream.py` does the most: both digests of each layer, BLAKE3 of each file. The pipelines that
//! unpack leave the diff ID out (umoci checks it), and skopeo only verifies the blobs and copies them. Each is given both
//! cores. Making and removing the folders that they unpack into is not counted.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::blobs::{Blob, blobs};
use super::layout::NAME;
use super::measure::TWO_CORES;
use super::process::{Usage, measure, pinned};
use super::tools::version;

/// Every layer in turn, as `tar` and `sha256sum` are given one at a time.
const UNPACK: &str = r#"
set -e
folder=$1
shift
for layer; do
    sha256sum "$layer"
    tar -xf "$layer" -C "$folder"
done
find "$folder" -type f -print0 | xargs -0 b3sum
"#;
const TO_COMMAND: &str = r#"
set -e
shift
for layer; do
    sha256sum "$layer"
    tar -xf "$layer" --to-command b3sum
done
"#;
const UMOCI: &str = r#"
set -e
umoci unpack --image "$2" "$1/bundle"
find "$1/bundle/rootfs" -type f -print0 | xargs -0 b3sum
"#;
const SKOPEO: &str = r#"
set -e
skopeo copy --quiet --insecure-policy "oci:$2" "dir:$1/copy"
"#;

/// One way, and what it took in each round.
pub struct ByHand {
    pub name: String,
    pub usages: Vec<Usage>,
}

struct Way {
    name: &'static str,
    tools: &'static [&'static str],
    script: &'static str,
    /// Whether the script is given an image's name, and not its layers.
    image: bool,
}

const WAYS: [Way; 3] = [
    Way {
        name: "sha256sum, tar -x, b3sum",
        tools: &["sha256sum", "tar", "b3sum"],
        script: UNPACK,
        image: false,
    },
    Way { name: "skopeo copy (verifies and copies)", tools: &["skopeo"], script: SKOPEO, image: true },
    Way { name: "umoci unpack, b3sum", tools: &["umoci", "b3sum"], script: UMOCI, image: true },
];
const SLOW: Way = Way {
    name: "sha256sum, tar --to-command b3sum",
    tools: &["sha256sum", "tar", "b3sum"],
    script: TO_COMMAND,
    image: false,
};

/// Works on one set.
pub struct Hand<'a> {
    pub scratch: &'a Path,
    pub rounds: usize,
    pub slow: bool,
}

impl Hand<'_> {
    /// Measures every way that is possible here, and says what is not and why; on many images, Python only.
    pub fn measure(&self, layout: &Path, one_image: bool) -> Result<(Vec<ByHand>, Vec<String>)> {
        let (mut measured, mut notes) = (Vec::new(), Vec::new());
        match Streaming::find() {
            Ok(streaming) => measured.push(self.stream(&streaming, layout)?),
            Err(reason) => notes.push(format!("streaming Python: skipped, {reason:#}")),
        }
        if !one_image {
            return Ok((measured, notes));
        }
        let layers = blobs(layout)?;
        for way in WAYS.iter().chain(self.slow.then_some(&SLOW)) {
            if let Some(missing) = way.tools.iter().find(|tool| version(tool).is_none()) {
                notes.push(format!("{}: skipped, {missing} is not found", way.name));
                continue;
            }
            match self.run(way, layout, &layers) {
                Ok(by_hand) => measured.push(by_hand),
                Err(problem) => notes.push(format!("{}: skipped, {problem:#}", way.name)),
            }
        }
        Ok((measured, notes))
    }

    fn stream(&self, streaming: &Streaming, layout: &Path) -> Result<ByHand> {
        let name = format!("streaming Python ({})", streaming.versions);
        eprintln!("{name}");
        let run = || measure(pinned(TWO_CORES, &streaming.python).arg(script()).arg(layout));
        let usages = (0..self.rounds).map(|_| run()).collect::<Result<_>>()?;
        Ok(ByHand { name, usages })
    }

    fn run(&self, way: &Way, layout: &Path, layers: &[Blob]) -> Result<ByHand> {
        let versions: Vec<String> = way.tools.iter().filter_map(|tool| version(tool)).collect();
        let name = format!("{} ({})", way.name, versions.join(", "));
        eprintln!("{name}");
        let mut usages = Vec::new();
        for _ in 0..self.rounds {
            let folder = tempfile::tempdir_in(self.scratch)?;
            let mut command = pinned(TWO_CORES, "sh");
            command.args(["-c", way.script, "sh"]).arg(folder.path());
            match way.image {
                true => command.arg(format!("{}:{NAME}", layout.display())),
                false => command.args(layers.iter().map(|layer| &layer.file)),
            };
            usages.push(measure(&mut command)?);
        }
        Ok(ByHand { name, usages })
    }
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/ingest/stream.py")
}

/// A Python that can run `stream.py`.
struct Streaming {
    /// The interpreter itself, where `python3` is a script that looks for it.
    python: String,
    versions: String,
}

impl Streaming {
    fn find() -> Result<Self> {
        let python = output(Command::new("python3").args(["-c", "import sys; print(sys.executable)"]))?;
        let versions = output(Command::new(&python).arg(script()).arg("--versions"))?;
        Ok(Self { python, versions })
    }
}

fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("start {command:?}"))?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{}", complaint.lines().last().unwrap_or("it failed"));
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
