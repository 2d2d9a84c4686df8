//! Patterns over words, as the table of what release notes say is written in.
//!
//! A pattern is a row of words. `a|b` is either, `word~` any word that begins so, `word?` may be missing, `..` is up to
//! four words of any kind, and `^` at the front is the beginning of a statement.

/// How many words `..` stands for at most.
const GAP: usize = 4;

/// Words that turn the sense around of what they stand in or before.
pub(super) const TURNING: [&str; 14] = [
    "not", "no", "never", "cannot", "don't", "doesn't", "aren't", "isn't", "won't", "unless", "except",
    "only", "until", "by",
];

/// What `..` may stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gap {
    /// Any words.
    Any,
    /// None that would turn the sense around.
    Straight,
}

/// Where the pattern is found in the words: the first place from `from` on, as a range of words.
pub(super) fn find_from(from: usize, pattern: &str, words: &[String], gap: Gap) -> Option<(usize, usize)> {
    let (anchored, pattern) = pattern.strip_prefix('^').map_or((false, pattern), |rest| (true, rest));
    let parts: Vec<&str> = pattern.split_whitespace().collect();
    let starts = from..if anchored { 1 } else { words.len() };
    starts.into_iter().find_map(|start| {
        let end = ends(&parts, words, start, gap)?;
        (end > start).then_some((start, end))
    })
}

/// The first place of all.
pub(super) fn find(pattern: &str, words: &[String], gap: Gap) -> Option<(usize, usize)> {
    find_from(0, pattern, words, gap)
}

/// Where a match of these parts that begins at `at` ends.
fn ends(parts: &[&str], words: &[String], at: usize, gap: Gap) -> Option<usize> {
    let Some((part, rest)) = parts.split_first() else { return Some(at) };
    if *part == ".." {
        let free = |word: &&String| gap == Gap::Any || !TURNING.contains(&word.as_str());
        let most = words[at..].iter().take(GAP).take_while(free).count();
        return (0..=most).find_map(|skipped| ends(rest, words, at + skipped, gap));
    }
    let (part, optional) = part.strip_suffix('?').map_or((*part, false), |part| (part, true));
    let here = words.get(at).is_some_and(|word| part.split('|').any(|one| is(one, word)));
    let taken = if here { ends(rest, words, at + 1, gap) } else { None };
    taken.or_else(|| if optional { ends(rest, words, at, gap) } else { None })
}

fn is(pattern: &str, word: &str) -> bool {
    pattern.strip_suffix('~').map_or(pattern == word, |beginning| word.starts_with(beginning))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn a_pattern_is_found_where_its_words_stand() {
        for (pattern, text, found) in [
            ("run .. by hand", "please run the migration by hand", Some((1, 6))),
            ("run .. by hand", "please run the big old ugly migration by hand", None),
            ("new secret~", "two new secrets", Some((1, 3))),
            ("^stop|undeploy the? app", "undeploy app", Some((0, 2))),
            ("^stop|undeploy the? app", "first stop the app", None),
            ("a? b?", "c", None),
            ("", "c", None),
        ] {
            assert_eq!(find(pattern, &words(text), Gap::Any), found, "{pattern}: {text}");
        }
        assert_eq!(find("a b", &[], Gap::Any), None);
    }

    #[test]
    fn a_reassurance_does_not_reach_across_its_own_negation() {
        let pattern = "migration~ .. automatically";
        let all = |text: &str| find(pattern, &words(text), Gap::Straight).is_some();
        assert!(all("migrations are run automatically"));
        assert!(!all("migrations are not run automatically"));
        assert!(!all("the migration is done by you automatically"));
    }
}
