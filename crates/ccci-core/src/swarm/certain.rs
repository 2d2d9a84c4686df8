//! What a wait can find: faults that are recorded and stop nothing, and failures that are certain before the deadline and the
//! recipe's. What is certain and the server's is [`Hindered`](super::Hindered).

/// Something that went wrong on the way to a good end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// Tasks died before the service was up.
    #[error("service `{service}`: {times} failed start(s) before it was up; the last: {last}{}", said(line.as_deref()))]
    Restarts {
        /// The service's name within the stack.
        service: String,
        /// How many.
        times: usize,
        /// The last failure's words.
        last: String,
        /// The task that failed last.
        task: String,
        /// The last line that this task wrote, once it was asked for.
        line: Option<String>,
    },
    /// It served before the deploy, and now it has ended with code 0 and is not started again.
    #[error(
        "service `{service}` ran before this deploy and has ended with code 0 now; its restart policy does not start it again{}",
        said(line.as_deref())
    )]
    Ended {
        /// The service's name within the stack.
        service: String,
        /// The task that ended.
        task: String,
        /// The last line that this task wrote, once it was asked for.
        line: Option<String>,
    },
    /// The deployed compose files do not have it any more, and abra removes no service.
    #[error(
        "service `{service}` is in no compose file of this commit any more and stays on the server ({tasks}): abra removes none; \
         `docker service rm` does"
    )]
    Dropped {
        /// The service's name within the stack.
        service: String,
        /// How many of its tasks run.
        tasks: String,
    },
    /// Swarm paused the update, but the new tasks run.
    #[error("service `{service}`: swarm paused the update ({message}), then the task came up")]
    PausedUpdate {
        /// The service's name within the stack.
        service: String,
        /// Swarm's words.
        message: String,
    },
}

/// A failure that is certain before the deadline, and the recipe's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Certain {
    /// The image does not exist.
    #[error("service `{service}`: the image `{image}` is not there and could not be pulled ({error})")]
    ImageMissing {
        /// The service's name within the stack.
        service: String,
        /// The image.
        image: String,
        /// Swarm's words.
        error: String,
    },
    /// A task fails again and again while all the rest of the stack is healthy (R14).
    #[error(
        "service `{service}` crash-loops: {times} failures while everything else was healthy; the last: {last}{}",
        shown(log)
    )]
    CrashLoop {
        /// The service's name within the stack.
        service: String,
        /// How many failures were seen.
        times: usize,
        /// The last failure's words.
        last: String,
        /// The service's last log lines; added by the one who watches.
        log: Vec<String>,
    },
    /// A task that runs only once failed.
    #[error("the one-shot service `{service}` failed and is not started again: {last}{}", shown(log))]
    OneShotFailed {
        /// The service's name within the stack.
        service: String,
        /// The failure's words.
        last: String,
        /// The service's last log lines; added by the one who watches.
        log: Vec<String>,
    },
    /// The proxy routes to it, and it wants no task (R15).
    #[error("service `{service}` is routed{} but has no task: {why}", by(routers))]
    RoutedToNothing {
        /// The service's name within the stack.
        service: String,
        /// The routers that its labels name.
        routers: Vec<String>,
        /// Why it has none.
        why: String,
    },
    /// The proxy routes to it, and it has ended with code 0.
    #[error(
        "service `{service}` is routed{} and has ended with code 0: its restart policy starts it again only after a failure{}",
        by(routers),
        shown(log)
    )]
    Ended {
        /// The service's name within the stack.
        service: String,
        /// The routers that its labels name.
        routers: Vec<String>,
        /// The service's last log lines; added by the one who watches.
        log: Vec<String>,
    },
    /// Two tasks of the stack ask for one port of the node.
    #[error(
        "service `{service}` cannot have the port {port} of the node: {holder} of this recipe has it, and a node has each port once ({words})"
    )]
    PortTwice {
        /// The service's name within the stack.
        service: String,
        /// The port.
        port: String,
        /// Who has it: another service, or a task of its own.
        holder: String,
        /// Swarm's words.
        words: String,
    },
    /// It asks for a port that the proxy of every server has.
    #[error(
        "service `{service}` publishes the port {port} of the node, which the proxy always has (here `{holder}`): leave it to the \
         proxy, by labels ({words})"
    )]
    PortOfProxy {
        /// The service's name within the stack.
        service: String,
        /// The port.
        port: String,
        /// The proxy's service.
        holder: String,
        /// Swarm's words.
        words: String,
    },
    /// Its constraints exclude each other.
    #[error(
        "service `{service}` fits no node of any server: `{one}` and `{other}` exclude each other ({words})"
    )]
    FitsNowhere {
        /// The service's name within the stack.
        service: String,
        /// A constraint.
        one: String,
        /// Another one.
        other: String,
        /// Swarm's words.
        words: String,
    },
    /// Swarm gave up starting it.
    #[error("service `{service}` used up its {attempts} attempts; the last: {last}{}", shown(log))]
    AttemptsUsedUp {
        /// The service's name within the stack.
        service: String,
        /// The limit in the spec.
        attempts: u64,
        /// The last failure's words.
        last: String,
        /// The service's last log lines; added by the one who watches.
        log: Vec<String>,
    },
    /// Swarm went back to the spec before, whatever answers now.
    #[error(
        "service `{service}`: the update failed and swarm rolled it back ({last}; {message}){}",
        shown(log)
    )]
    RolledBack {
        /// The service's name within the stack.
        service: String,
        /// Swarm's words.
        message: String,
        /// The last failed task's words.
        last: String,
        /// The service's last log lines; added by the one who watches.
        log: Vec<String>,
    },
    /// Swarm stopped in the middle of an update: some tasks keep the spec before.
    #[error("service `{service}`: the update stopped half-way, old tasks go on running ({message})")]
    HalfUpdated {
        /// The service's name within the stack.
        service: String,
        /// Swarm's words.
        message: String,
    },
}

fn said(line: Option<&str>) -> String {
    line.map(|line| format!("; its last log line: {line}")).unwrap_or_default()
}

fn by(routers: &[String]) -> String {
    if routers.is_empty() { String::new() } else { format!(" by {}", routers.join(", ")) }
}

fn shown(log: &[String]) -> String {
    if log.is_empty() { String::new() } else { format!("\nits last log lines:\n{}", log.join("\n")) }
}

impl Certain {
    /// The service's name within the stack.
    pub fn service(&self) -> &str {
        match self {
            Self::ImageMissing { service, .. }
            | Self::CrashLoop { service, .. }
            | Self::OneShotFailed { service, .. }
            | Self::AttemptsUsedUp { service, .. }
            | Self::RolledBack { service, .. }
            | Self::HalfUpdated { service, .. }
            | Self::RoutedToNothing { service, .. }
            | Self::Ended { service, .. }
            | Self::PortTwice { service, .. }
            | Self::PortOfProxy { service, .. }
            | Self::FitsNowhere { service, .. } => service,
        }
    }

    /// Whether it is certain by itself, whatever hinders another service.
    pub(super) fn stands_alone(&self) -> bool {
        !matches!(
            self,
            Self::CrashLoop { .. }
                | Self::OneShotFailed { .. }
                | Self::AttemptsUsedUp { .. }
                | Self::RolledBack { .. }
                | Self::HalfUpdated { .. }
        )
    }

    /// Adds the log lines where they explain something.
    pub(super) fn add_log(&mut self, lines: Vec<String>) {
        match self {
            Self::CrashLoop { log, .. }
            | Self::OneShotFailed { log, .. }
            | Self::AttemptsUsedUp { log, .. }
            | Self::RolledBack { log, .. }
            | Self::Ended { log, .. } => *log = lines,
            Self::ImageMissing { .. }
            | Self::HalfUpdated { .. }
            | Self::RoutedToNothing { .. }
            | Self::PortTwice { .. }
            | Self::PortOfProxy { .. }
            | Self::FitsNowhere { .. } => {}
        }
    }
}
