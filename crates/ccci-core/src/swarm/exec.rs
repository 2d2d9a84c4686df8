//! Commands inside a service's running container. The exit code always comes with the output (failure 34).

use std::time::Duration;

use bollard::exec::{CreateExecOptions, StartExecResults};
use futures_util::StreamExt as _;

use super::facts::{StackFacts, TaskState};
use super::{Swarm, SwarmError};
use crate::names::StackName;

/// How much of a command's output is kept, in bytes.
const OUTPUT_LIMIT: usize = 64 << 10;

/// How a command in a container ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecResult {
    /// Its exit code.
    pub code: i64,
    /// Standard output; at most 64 KiB from the beginning.
    pub stdout: String,
    /// Standard error, likewise.
    pub stderr: String,
    /// The container it ran in.
    pub container: String,
}

impl Swarm {
    /// Runs a command in the newest running container of a service (its name within the stack). The arguments are
    /// seen by everybody on the machine: no secrets. A container that is just being replaced is an error of the
    /// `Refused` or `NoContainer` kind, and worth another try.
    ///
    /// # Errors
    /// [`SwarmError::NoService`] and [`SwarmError::NoContainer`] where there is nothing to run it in; else where the engine cannot be asked, or the
    /// command is late.
    pub async fn exec(
        &self,
        stack: &StackName,
        service: &str,
        argv: &[String],
        deadline: Duration,
    ) -> Result<ExecResult, SwarmError> {
        let what = format!("to run `{}` in {service}", argv.first().map_or("", String::as_str));
        let facts = self.observe(stack).await?;
        let none = || SwarmError::NoContainer { service: stack.scoped(service) };
        let found = facts.service(service).ok_or_else(|| no_service(&facts, service))?;
        let up = |t: &&super::TaskFacts| t.current && t.state == TaskState::Running;
        let task = facts.tasks_of(found).filter(up).last().ok_or_else(none)?;
        let container = facts.container_of(task).map(|c| c.id.clone()).ok_or_else(none)?;
        tokio::time::timeout(deadline, self.exec_in(&what, container, argv))
            .await
            .map_err(|_| SwarmError::Timeout { what, after: deadline })?
    }

    async fn exec_in(
        &self,
        what: &str,
        container: String,
        argv: &[String],
    ) -> Result<ExecResult, SwarmError> {
        let options = CreateExecOptions {
            cmd: Some(argv.to_vec()),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            ..CreateExecOptions::default()
        };
        let id = self.ask(what, self.docker().create_exec(&container, options)).await?.id;
        let started = self.ask(what, self.docker().start_exec(&id, None)).await?;
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        if let StartExecResults::Attached { mut output, .. } = started {
            while let Some(part) = output.next().await {
                let part = part.map_err(|e| SwarmError::from_client(&self.host, what, &e))?;
                let is_error = matches!(part, bollard::container::LogOutput::StdErr { .. });
                let kept = if is_error { &mut stderr } else { &mut stdout };
                let room = OUTPUT_LIMIT.saturating_sub(kept.len());
                let bytes = part.into_bytes();
                kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
            }
        }
        let ended = self.ask(what, self.docker().inspect_exec(&id)).await?;
        let why = || "it ended without an exit code".to_owned();
        let code =
            ended.exit_code.ok_or_else(|| SwarmError::Undecodable { what: what.to_owned(), why: why() })?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok(ExecResult { code, stdout: text(stdout), stderr: text(stderr), container })
    }
}

/// Why there is no such service: a wrong name, or a stack that has nothing (yet).
pub(super) fn no_service(facts: &StackFacts, service: &str) -> SwarmError {
    if facts.services.is_empty() {
        return SwarmError::NoContainer { service: facts.stack.scoped(service) };
    }
    let known: Vec<&str> = facts.services.iter().map(|s| facts.short(s)).collect();
    SwarmError::NoService { service: service.to_owned(), known: known.join(", ") }
}
