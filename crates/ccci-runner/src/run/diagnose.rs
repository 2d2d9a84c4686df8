//! What a person needs to see of a failure, gathered before anything is torn down.

use ccci_core::atomic;
use ccci_core::event::Event;
use ccci_core::health::Prober;
use ccci_core::names::AppDomain;
use ccci_core::visible::visible;

use super::claim::Run;
use super::findings::Findings;

/// Writes tasks, logs and the last HTTP exchange to the run's directory and says where they are. `prober` is what asked
/// the app at this domain, if it came to that; `findings` is what it met.
pub(crate) async fn diagnose(run: &Run, domain: &AppDomain, prober: Option<&Prober>, findings: &Findings) {
    diagnose_into("diagnosis.txt", run, domain, prober, findings).await;
}

/// The same, into a file of this name.
pub(crate) async fn diagnose_into(
    file: &str,
    run: &Run,
    domain: &AppDomain,
    prober: Option<&Prober>,
    findings: &Findings,
) {
    let world = &run.world;
    // The file knows a provider that came later.
    let record = run.record_now();
    let mut parts = Vec::new();
    for stack in std::iter::once(domain.stack()).chain(record.provider.map(|app| app.stack)) {
        parts.push(match run.swarm.diagnose(&stack, &world.redactor).await {
            Ok(diagnosis) => diagnosis.to_string(),
            Err(error) => format!("the engine could not be asked: {error}\n"),
        });
    }
    let mut text = parts.join("\n");
    if let Some(exchange) = prober.and_then(Prober::last_exchange) {
        text = format!("{text}\nlast HTTP exchange:\n{exchange}\n");
    }
    text = format!("{}\n{text}", machine(!findings.refused()));
    let path = run.logs().join(file);
    let kept = match atomic::write(&path, visible(&world.redactor.clean(&text)).as_bytes()) {
        Ok(()) => format!("tasks and logs: {}", path.display()),
        Err(error) => format!("tasks and logs could not be kept: {error}"),
    };
    world.events.send(Event::Diagnosed(kept));
}

/// How busy the machine is: a slow node looks like a broken recipe (failure 59). `waited`: whether that can be it, since something
/// was waited for.
fn machine(waited: bool) -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    in_words(&read("/proc/loadavg"), &read("/proc/meminfo"), processors, waited)
}

/// The same, from what the kernel says.
fn in_words(load: &str, memory: &str, processors: usize, waited: bool) -> String {
    let mut loads = load.split(' ').filter_map(|word| word.parse::<f64>().ok());
    let free = memory.lines().find_map(|line| {
        line.strip_prefix("MemAvailable:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kb| kb >> 10)
    });
    let (Some(one), Some(five), Some(free)) = (loads.next(), loads.next(), free) else {
        return "machine: its load is not known".to_owned();
    };
    let busy = one > 2.0 * f64::from(u32::try_from(processors).unwrap_or(u32::MAX));
    let hint = if busy && waited {
        "; that load is high: run it again alone before you blame the recipe"
    } else {
        ""
    };
    format!("machine: load {one} (1 min), {five} (5 min) on {processors} processors, {free} MiB free{hint}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failure_59_a_busy_machine_is_told_with_the_failure() {
        let memory = "MemTotal:       8000000 kB\nMemFree:  1 kB\nMemAvailable:    2097152 kB\n";
        let calm = in_words("1.52 0.90 0.80 1/500 4242\n", memory, 2, true);
        assert_eq!(calm, "machine: load 1.52 (1 min), 0.9 (5 min) on 2 processors, 2048 MiB free");
        let busy = in_words("14.20 9.00 4.00 9/500 4242\n", memory, 2, true);
        assert!(busy.ends_with("run it again alone before you blame the recipe"), "{busy}");
        // An image that is not there is no matter of load.
        let refused = in_words("14.20 9.00 4.00 9/500 4242\n", memory, 2, false);
        assert_eq!(refused, "machine: load 14.2 (1 min), 9 (5 min) on 2 processors, 2048 MiB free");
        assert_eq!(in_words("", memory, 2, true), "machine: its load is not known");
        assert!(machine(true).starts_with("machine: load "), "{}", machine(true));
    }
}
