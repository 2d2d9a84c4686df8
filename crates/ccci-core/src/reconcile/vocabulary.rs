//! The words by which release notes are judged: one table, to be added to. A pattern's form is that of [`super::phrase`].

/// Why a statement is one for a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It asks for work by hand.
    Hand,
    /// It says that something breaks.
    Breaking,
    /// It speaks of secrets.
    Secrets,
    /// It wants a copy of the data first, or says that there is no way back.
    Data,
    /// It speaks of settings of the app.
    Settings,
    /// It gives commands.
    Command,
    /// It speaks of a migration.
    Migration,
    /// It wants things in an order.
    Order,
    /// It speaks to the operator, or of some servers only.
    Address,
}

impl Kind {
    pub(super) fn says(self) -> &'static str {
        match self {
            Self::Hand => "it asks for work by hand",
            Self::Breaking => "it says that something breaks",
            Self::Secrets => "it speaks of secrets",
            Self::Data => "it speaks of a copy of the data or of no way back",
            Self::Settings => "it speaks of a setting",
            Self::Command => "it gives a command",
            Self::Migration => "it speaks of a migration",
            Self::Order => "it wants things in an order",
            Self::Address => "it speaks to whoever runs the app",
        }
    }
}

/// What says that there is nothing to do; taken out before the markers are looked for.
pub(super) const REASSURING: &[&str] = &[
    "no|without|zero any? manual|breaking|further|additional|special|operator|user|other step~|work|action~|intervention~|migration~|change~|interaction is|are? needed|required|necessary|expected?",
    "no migration~|backup~|action~|change~|steps|step|intervention|downtime to? is|are? needed|required|necessary|expected",
    "no new secret~|setting~|variable~|volume~",
    "needs|requires|need|require|needing|requiring no manual|further|additional? step~|work|action~|intervention~|migration~|changes",
    "not a|any? breaking change~?",
    "isn't a? breaking change~?",
    "nothing else|more|special|further? to do|change|configure",
    "nothing needs|has to be done|changed",
    "nothing you need|have to do",
    "nothing to do on|from|at your|our side|end|part?",
    "without doing anything",
    "no need to back up",
    "no need to migrate|worry|act|do",
    "no config|configuration|env|environment|settings? changes|change|variables|vars",
    "no new env|environment? vars|variables|settings|secrets",
    "nothing renamed|removed",
    "upgrade notes none|nothing",
    "not contain|include|have|bring any? breaking changes",
    "thank you",
    "enjoy your weekend|day|week|evening",
    "you don't need|have to do anything",
    "you do not need|have to do anything",
    "migration~ .. automatic|automatically",
    "migration~ .. by itself|themselves",
    "migration~ .. on|at|during start|startup|boot|deploy|deployment",
    "migrates|migrated|upgrades automatically|itself|themselves",
    "automatic|automatically|automated .. migration~|migrated|migrates",
    "runs|run|applies|apply its|the|their? database? migration~ automatically|itself|themselves",
    "secret scanning|scanner",
];

/// What takes a reassurance back when it follows.
pub(super) const BUT: [&str; 9] =
    ["but", "except", "besides", "apart", "beyond", "other", "unless", "until", "if"];

/// Signs that speak by themselves: blocks of commands, warnings, options of commands.
pub(super) const SIGNS: [&str; 9] = ["```", "~~~", "⚠", "‼", "❗", "🚨", "!!", " --", "!:"];

/// What speaks of a person's work, by kind. The first that is found is told.
pub(super) const MARKERS: &[(Kind, &[&str])] = &[
    (
        Kind::Hand,
        &[
            "manual~",
            "by hand",
            "hand edit~",
            "intervention~",
            "operator~|admin|admins|administrator~|maintainer~ must|need~|should|have|has|will",
            "action .. required|needed|necessary",
            "action~ for|by operators|admins|administrators",
            "once|after .. run|execute~",
            "but|and|then|besides run|execute|insert|generate|restart|stop|set",
            "admin~? console|panel|backend",
            "^first? please|then|finally|next? run|execute|insert|generate|rename|edit|rotate|stop|undeploy|redeploy|recreate|reindex|rebuild|delete|export|import|dump|restore|adapt|adjust|configure|reconfigure|re|log|login|visit|verify|follow|copy|create|move|clear|purge|reset|restart|uninstall",
        ],
    ),
    (
        Kind::Breaking,
        &[
            "breaking|breaks|incompatible|incompatibility",
            "not|longer|without backward|backwards? compatible|compatibility",
            "no longer",
            "not .. anymore",
            "not .. any more",
            "drop~|remove~|end~|stop~ support",
            "support .. was|is|has? been? dropped|removed",
            "major",
            "won't|cannot|can't",
            "will|does|do not start|work|boot|run|deploy",
            "fails|refuses to",
            "deprecat~",
            "end of life",
            "gone|vanish~|disappear~|drop|drops|dropped|move|moved|moves|moving|replaced|replaces|replacing",
            "wip|todo|untested|experimental|unstable|beta|alpha",
            "not tested|supported|ready|recommended",
            "minimum|oom|disk space",
            "wipes|wipe|lost|loses|locked|locks",
        ],
    ),
    (
        Kind::Secrets,
        &[
            "secret|secrets",
            "password~ .. must|need~|change~|rotate~|new|reset|insert~|set",
            "new|rotate~|change~|reset|insert~|generate~ .. password~|key|keys|token~|credential~",
        ],
    ),
    (
        Kind::Data,
        &[
            "back~ up",
            "backup~ .. first|before|your|of",
            "take|make|create|do|have|perform|need a|an|fresh|recent|full? backup~|snapshot~|copy|dump",
            "with .. backup|snapshot",
            "before .. backup|snapshot",
            "backup|backups",
            "data loss|directory|format",
            "los~ .. data",
            "irreversible|irreversibly",
            "one way",
            "can't|cannot|not|never .. undone|reverted|reverse~|rolled|rollback|downgrade~",
            "no way back",
            "downgrad~",
            "dump .. restore|import|reload",
            "volume~ .. renamed|moved|removed|new|change~|delete~|empty|must|need~|migrat~",
            "rename~|remove~|move~|new|change~|delete~|empty|recreate~ .. volume~",
            "reindex~|reindexed",
            "re index~",
        ],
    ),
    (
        Kind::Settings,
        &[
            "env|environment|envvar~|dotenv",
            "volume~|network|networks|port|ports|subdomain~|mount|mounts|directory|folder|prefix",
            "label|labels .. must|change~|rename~",
            "variable|variables .. renamed|removed|new|change~|require~|must|set",
            "rename~|remove~|new|change~|set|require~ .. variable~|option~|setting~|key|keys",
            "option~|setting~|key|keys .. renamed|removed|require~|must|needed",
            "config|configuration~ .. version~|renamed|removed|change~|new|must|require~|needs|need|format|migrat~|update~|adjust~|adapt~",
            "change~|new|rename~|remove~|adjust~|adapt~|update~|edit~|bump~|raise~ .. config|configuration~|configs",
            "renamed|rename",
            "compose_file|compose file~",
            "domain|dns|port|ports .. must|change~|require~|need~|new|open~",
            "new|open~|add|adds|change~|forward~ .. port|ports|domain~|dns|subdomain~|record",
            "firewall",
        ],
    ),
    (
        Kind::Command,
        &[
            "abra app|recipe|secret|server|catalogue|volume",
            "docker exec|run|service|stack|volume|secret|compose",
            "sudo|psql|pg_dump|pg_dumpall|pg_restore|mysqldump|occ|chown|chmod",
            "run~ .. command~|script|sql|query|migration~|upgrade",
            "the? following|these|this command~|sql|script|query|steps",
            "command~ .. run|once|executed",
            "run|execute|executed|ran once|one|again|inside|in",
        ],
    ),
    (
        Kind::Migration,
        &[
            "migrat~",
            "upgrade|upgrading|update|migration guide|instructions|notes|path|steps",
            "database|postgres|postgresql|mariadb|mysql|mongodb .. upgrade~|major|switch~|replace~|convert~",
            "switch~|replace~|convert~|upgrade~ .. database|postgres|postgresql|mariadb|mysql|mongodb",
            "collation|charset",
        ],
    ),
    (
        Kind::Order,
        &[
            "before|after|prior|when|while|once .. you|upgrading|updating|upgrade|update|deploying|deploy|deployment",
            "before|after|prior~ to? the|this|an? upgrade|update|release|deploy~",
            "upgrade|update|go|goes|deploy|install .. first",
            "first upgrade|update|deploy|stop|set",
            "intermediate",
            "step|one by step|one",
            "in order",
            "not before|after",
            "along|together with",
            "skip~ .. version~|release~",
            "from version~|releases .. before|older|earlier",
        ],
    ),
    (
        Kind::Address,
        &[
            "you|your|yours|yourself",
            "please",
            "must|mandatory|obligatory",
            "need|needs|needed",
            "has|have to",
            "should",
            "require|requires|required|requirement~",
            "make sure|certain",
            "ensure .. is|are|has|have|set",
            "remember|forget",
            "attention|warning|warnings|caution|careful|carefully|beware|important|heads",
            "unless|except",
            "if",
            "in case",
            "downtime",
            "takes .. long|longer|minutes|hour|hours",
            "those who|with|using",
            "users of|with|who",
            "deployments|instances|installations|servers .. with|that|which",
            "advise~|recommend~|suggest~|advisable|wise",
            "relevant for|to",
        ],
    ),
];

/// Databases whose files are of one major version.
pub(super) const DATABASES: [&str; 9] = [
    "postgres",
    "pgautoupgrade",
    "mariadb",
    "mysql",
    "mongo",
    "clickhouse",
    "elasticsearch",
    "opensearch",
    "meilisearch",
];

/// Headings below which each entry tells something done.
pub(super) const SECTIONS: [&str; 9] = [
    "fixes",
    "fixed",
    "bugfixes",
    "features",
    "feature",
    "improvements",
    "translations",
    "performance",
    "internal",
];

/// What a statement may consist of wholly, beside numbers and what reassures.
pub(super) const FILLERS: &str = "\
    a all also and any app are as at boot bug bugfix bugfixes by change changed changelog changes compatible \
    database deploy details during enjoy everything feature features fix fixed fixes for from full fully further \
    here hi image images improvements in initial internal is it just latest link links maintenance minor more new \
    none of on only patch release released releases routine s security see small so start startup that the there \
    this to translations update updates upgrade upstream v version versions what what's with";

/// How a line of a changelog begins.
pub(super) const LINES: &[&str] = &[
    "^chore|feat|fix|docs|ci|test|tests|style|refactor|perf|build|deps|lint",
    "^this? the? release|version|it? also|mostly|only|just? fixes|fixed|fixing|updates|updated|bumps|bumped|adds|added|improves|improved|pins|corrects|brings|contains|includes",
    "^fix|fixes|fixed|bump|bumps|bumped|update|updates|updated|upgrade|upgrades|upgraded|add|adds|added|improve|improves|improved|improvement|improvements",
    "^pin|pins|pinned|correct|corrects|corrected|tidy|tidies|clean|cleans|cleanup|typo|typos|translate|translates|translation|translations",
    "^minor|small|routine|usual|regular|weekly|monthly|some|several|various|more upstream|image|version|dependency|security|bug? bump|bumps|update|updates|upgrade|fix|fixes|bugfix|bugfixes|improvement|improvements|release",
    "^security|bugfix|bugfixes|maintenance|patch|dependency|documentation|readme|healthcheck|upstream|bug release|update|updates|fix|fixes|bump|bumps|only|changelog|release|releases",
    "^better|faster|nicer|quicker|fewer|less|smaller",
    "^thanks|thank|kudos|props",
    "^remove|removes|removed an|a|the? unused|superfluous|stray|trailing|debug",
    "^works|tested with|on|against the? latest|current|newest",
    "^the default timeout|timeouts is|are",
    "^it? migrates|upgrades|updates? \0",
];
