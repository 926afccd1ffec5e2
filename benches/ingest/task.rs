//! Work that needs memory, as a process of its own: the benchmark must stay small while it measures others.
//!
//! It starts itself again with a task as JSON, and reads the result as JSON from its standard output.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::blobs::blobs;
use super::limit::limit;
use super::sets::{Cache, Set};

#[derive(Serialize, Deserialize)]
pub enum Task {
    Make(Cache, Set),
    Limit(PathBuf),
}

impl Task {
    /// Does it, in this process, and prints the result.
    pub fn perform(self) -> Result<()> {
        let result = match self {
            Self::Make(cache, set) => serde_json::to_string(&cache.make(set)?)?,
            Self::Limit(source) => serde_json::to_string(&limit(&blobs(&source)?)?)?,
        };
        println!("{result}");
        Ok(())
    }

    /// Does it in a process of its own and returns the result.
    pub fn run<T: DeserializeOwned>(&self) -> Result<T> {
        let program = std::env::current_exe().context("path of this benchmark")?;
        let mut command = Command::new(program);
        command.arg("--task").arg(serde_json::to_string(self)?).stdin(Stdio::null());
        let output = command.stderr(Stdio::inherit()).output().context("start a task")?;
        ensure!(output.status.success(), "a task failed: {}", output.status);
        serde_json::from_slice(&output.stdout).context("result of a task")
    }
}
