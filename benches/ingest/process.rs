//! Time, CPU and memory of one process from its start to its end.
//!
//! A process begins with its parent's peak memory as its own (Linux keeps the larger when a program is executed), so the
//! one that starts it must stay small: whatever needs memory here is a task in a process of its own.

use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

/// What a process took, those that it waited for included.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
pub struct Usage {
    pub wall_s: f64,
    pub user_s: f64,
    pub system_s: f64,
    pub peak_bytes: u64,
}

impl Usage {
    pub fn cpu_s(&self) -> f64 {
        self.user_s + self.system_s
    }
}

/// Runs a program to its end, which must be a success, with its output thrown away.
pub fn measure(command: &mut Command) -> Result<Usage> {
    let shown = command.get_program().to_string_lossy().into_owned();
    let started = Instant::now();
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = child.spawn().with_context(|| format!("start {shown}"))?;
    let complaints = child.stderr.take().context("standard error of a process")?;
    let complaints = std::io::read_to_string(complaints).unwrap_or_default();
    let (success, mut usage) = wait(child.id()).with_context(|| format!("wait for {shown}"))?;
    usage.wall_s = started.elapsed().as_secs_f64();
    ensure!(success, "{shown} failed: {}", complaints.trim().lines().last().unwrap_or("it does not say why"));
    Ok(usage)
}

/// Returns a program with its arguments, to be run on these cores and no others.
pub fn pinned(cores: &str, program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("taskset");
    command.arg("-c").arg(cores).arg(program);
    command
}

fn wait(child: u32) -> Result<(bool, Usage)> {
    let (mut status, mut usage) = (0, std::mem::MaybeUninit::<libc::rusage>::zeroed());
    let child = libc::pid_t::try_from(child)?;
    // SAFETY: both pointers are to values of this function, and no one else waits for this child.
    let waited = unsafe { libc::wait4(child, &raw mut status, 0, usage.as_mut_ptr()) };
    ensure!(waited == child, std::io::Error::last_os_error());
    // SAFETY: all bits zero is a value of it, and `wait4` filled it.
    let usage = unsafe { usage.assume_init() };
    let usage = Usage {
        wall_s: 0.0,
        user_s: seconds(usage.ru_utime.tv_sec, usage.ru_utime.tv_usec),
        system_s: seconds(usage.ru_stime.tv_sec, usage.ru_stime.tv_usec),
        peak_bytes: u64::try_from(usage.ru_maxrss)? << 10,
    };
    Ok((libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0, usage))
}

/// Returns the CPU time of this thread so far.
pub fn thread_cpu_s() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a value of this function.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    assert_eq!(result, 0, "the clock is one that every Unix has");
    seconds(time.tv_sec, time.tv_nsec / 1_000)
}

#[expect(clippy::cast_precision_loss, reason = "seconds that a process ran, and fewer than a million")]
fn seconds(seconds: libc::time_t, micros: libc::suseconds_t) -> f64 {
    seconds as f64 + micros as f64 / 1e6
}
