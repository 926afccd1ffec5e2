//! DuckDB, asked the same in SQL over Parquet, by a script in Python.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::answers::CHECKED;
use super::measure::Memory;
use super::task::Place;

/// What the script prints.
#[derive(Deserialize)]
pub struct Measured {
    pub version: String,
    pub bytes: u64,
    pub build_seconds: f64,
    pub milliseconds: Vec<f64>,
    /// Of the whole process, building included.
    pub memory: Memory,
}

/// Returns why DuckDB cannot be asked here, if so.
pub fn missing() -> Option<String> {
    let check = Command::new("python3").args(["-c", "import duckdb, numpy"]).stderr(Stdio::null()).status();
    match check {
        Ok(status) if status.success() => None,
        Ok(_) => Some("python3 cannot import duckdb and numpy".to_owned()),
        Err(error) => Some(format!("python3 does not run: {error}")),
    }
}

/// Writes Parquet of a fleet and asks.
pub fn measure(place: &Place, limit: Duration) -> Result<Measured> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/scale/duckdb_containment.py");
    let mut command = Command::new("python3");
    command.arg(script).arg(place.matrix()).arg(&place.queries).arg(place.folder.join("parquet"));
    command.arg(place.answers("duckdb")).arg(CHECKED.to_string()).arg(limit.as_secs_f64().to_string());
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output().context("start python3")?;
    ensure!(output.status.success(), "duckdb_containment.py failed: {}", output.status);
    serde_json::from_slice(&output.stdout).context("result of duckdb_containment.py")
}
