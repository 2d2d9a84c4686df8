//! The values of secrets that swarm gives to nobody but the tasks that use them: read where the kernel shows a container's own
//! files. That is this machine, and root's.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::facts::{StackFacts, TaskState};
use crate::foreign::{self, Plain};
use crate::secret::Secret;

/// Where swarm puts a secret that has no path of its own.
const USUAL: &str = "/run/secrets";

impl StackFacts {
    /// The value of a secret, by its full name in the swarm, from a task that runs with it. What its files say now is what
    /// the app uses.
    ///
    /// # Errors
    /// Why nobody can tell it, as the end of a sentence.
    pub fn secret_in_use(&self, name: &str) -> Result<Secret, String> {
        let mut why = None;
        for (pid, file) in self.shown(name) {
            match of_process(pid, &file) {
                Ok(value) => return Ok(value),
                Err(error) => why = Some(error),
            }
        }
        Err(why.unwrap_or_else(|| "no task that uses it runs".to_owned()))
    }

    /// The processes that see it, and where.
    fn shown<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (u32, PathBuf)> + 'a {
        self.services.iter().flat_map(move |service| {
            let file = targets(&service.template).remove(name);
            let up = self.tasks_of(service).filter(|task| task.current && task.state == TaskState::Running);
            up.filter_map(move |task| Some((task.pid?, file.clone()?)))
        })
    }
}

/// What a process finds there, in its own root.
fn of_process(pid: u32, file: &Path) -> Result<Secret, String> {
    let root = PathBuf::from(format!("/proc/{pid}/root"));
    match foreign::plain_below(&root, file, Secret::LARGEST) {
        Ok(Plain::Bytes(bytes)) => {
            String::from_utf8(bytes).map(Secret::new).map_err(|_| "it is no UTF-8 text".to_owned())
        }
        Ok(_) => Err(format!("{} in the container is no file of a secret", file.display())),
        Err(error) => Err(format!("{} in the container: {error}", file.display())),
    }
}

/// Where the tasks of this template find their secrets, by full name.
fn targets(template: &serde_json::Value) -> BTreeMap<&str, PathBuf> {
    let used = template["ContainerSpec"]["Secrets"].as_array().into_iter().flatten();
    used.filter_map(|secret| {
        let target = Path::new(secret["File"]["Name"].as_str()?);
        // One that begins with a slash stays what it is.
        Some((secret["SecretName"].as_str()?, Path::new(USUAL).join(target)))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_where_the_template_puts_it() {
        let template = serde_json::json!({"ContainerSpec": {"Secrets": [
            {"SecretName": "a_b_db_v1", "File": {"Name": "db"}},
            {"SecretName": "a_b_key_v1", "File": {"Name": "/etc/app/key"}},
            {"SecretName": "a_b_odd_v1"},
        ]}});
        let found = targets(&template);
        let wanted = [("a_b_db_v1", "/run/secrets/db"), ("a_b_key_v1", "/etc/app/key")];
        assert_eq!(found, wanted.map(|(name, path)| (name, PathBuf::from(path))).into());
        assert_eq!(targets(&serde_json::json!({})), BTreeMap::new());
    }
}
