//! The order of release tags, `<recipe semver>+<upstream version>`: the recipe part as numbers, then the upstream
//! part piece by piece, numbers as numbers.

use std::cmp::Ordering;

/// A release tag that could be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Release {
    /// The tag as git has it.
    pub(super) tag: String,
    numbers: [u64; 3],
    pre: Option<String>,
    upstream: String,
}

impl Release {
    /// Reads a tag, or nothing when the part before `+` is no version.
    pub(super) fn read(tag: &str) -> Option<Self> {
        let (recipe, upstream) = tag.split_once('+').unwrap_or((tag, ""));
        let recipe = recipe.strip_prefix('v').unwrap_or(recipe);
        let (plain, pre) = recipe.split_once('-').map_or((recipe, None), |(n, p)| (n, Some(p.to_owned())));
        let parts: Option<Vec<u64>> = plain.split('.').map(|part| part.parse().ok()).collect();
        let numbers = parts?.try_into().ok()?;
        Some(Self { tag: tag.to_owned(), numbers, pre, upstream: upstream.to_owned() })
    }
}

impl Ord for Release {
    fn cmp(&self, other: &Self) -> Ordering {
        let pre = match (&self.pre, &other.pre) {
            (None, None) => Ordering::Equal,
            (None, Some(_)) => Ordering::Greater,
            (Some(_), None) => Ordering::Less,
            (Some(a), Some(b)) => naturally(a, b),
        };
        self.numbers.cmp(&other.numbers).then(pre).then_with(|| naturally(&self.upstream, &other.upstream))
    }
}

impl PartialOrd for Release {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The tags that can be read, oldest first.
pub(super) fn sorted<'a>(tags: impl Iterator<Item = &'a str>) -> Vec<Release> {
    let mut releases: Vec<Release> = tags.filter_map(Release::read).collect();
    releases.sort();
    releases
}

fn naturally(a: &str, b: &str) -> Ordering {
    let (a, b) = (pieces(a), pieces(b));
    for (left, right) in a.iter().zip(&b) {
        let order = match (left.parse::<u64>(), right.parse::<u64>()) {
            (Ok(left), Ok(right)) => left.cmp(&right),
            _ => left.cmp(right),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
    a.len().cmp(&b.len())
}

/// Runs of digits and runs of letters; everything else parts them.
fn pieces(text: &str) -> Vec<String> {
    let mut pieces: Vec<String> = Vec::new();
    let mut last = None;
    for c in text.chars() {
        let kind = if c.is_ascii_digit() {
            'd'
        } else if c.is_alphanumeric() {
            'a'
        } else {
            '-'
        };
        if kind != '-' {
            match pieces.last_mut() {
                Some(piece) if last == Some(kind) => piece.push(c),
                _ => pieces.push(c.to_string()),
            }
        }
        last = Some(kind);
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_ordered_by_recipe_then_by_upstream() {
        let ordered = [
            "0.9.0+2.0.0",
            "1.0.0-rc1+9",
            "1.0.0+1.9.0",
            "1.0.0+1.14.3",
            "1.0.0+v1.6.870-0",
            "1.2.0+0.1",
            "1.10.0+0.1",
            "2.0.1+1.0.6-social-amd64",
        ];
        let mut shuffled: Vec<&str> = ordered.to_vec();
        shuffled.reverse();
        let tags: Vec<String> = sorted(shuffled.into_iter()).into_iter().map(|r| r.tag).collect();
        assert_eq!(tags, ordered);
        assert!(Release::read("release-1").is_none());
    }
}
