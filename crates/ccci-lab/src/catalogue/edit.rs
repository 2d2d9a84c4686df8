//! Small changes to files, written the way merge conflicts look: an old text and the new one in its place. They
//! keep a release or a branch down to the lines that differ.

const OLD: &str = "<<<<<<<";
const MIDDLE: &str = "=======";
const NEW: &str = ">>>>>>>";

/// An edit that does not fit the file it is meant for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// The blocks are not of the form old, middle, new.
    #[error("line {line}: `{found}` stands where {wanted} should")]
    Form {
        /// Line in the edit file, from 1.
        line: usize,
        /// What stands there.
        found: String,
        /// What should.
        wanted: &'static str,
    },
    /// A block's old text must stand in the file exactly once.
    #[error("the old text ending at line {line} stands {times} times in the file, not once")]
    NotOnce {
        /// Line in the edit file where the old text ends, from 1.
        line: usize,
        /// How often it was found.
        times: usize,
    },
}

/// The text with every block of `edits` applied, in order.
pub(super) fn apply(text: &str, edits: &str) -> Result<String, EditError> {
    let mut text = text.to_owned();
    for block in parse(edits)? {
        let times = text.matches(&block.old).count();
        // An empty old text stands everywhere, which is as bad as nowhere.
        if times != 1 {
            return Err(EditError::NotOnce { line: block.line, times });
        }
        text = text.replacen(&block.old, &block.new, 1);
    }
    Ok(text)
}

struct Block {
    line: usize,
    old: String,
    new: String,
}

enum Place {
    Between,
    Old,
    New,
}

fn parse(edits: &str) -> Result<Vec<Block>, EditError> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut place = Place::Between;
    for (number, line) in (1..).zip(edits.lines()) {
        let form = |wanted| EditError::Form { line: number, found: line.to_owned(), wanted };
        place = match (place, line) {
            (Place::Between, "") | (Place::New, NEW) => Place::Between,
            (Place::Between, OLD) => {
                blocks.push(Block { line: number, old: String::new(), new: String::new() });
                Place::Old
            }
            (Place::Between, _) => return Err(form(OLD)),
            (Place::Old, MIDDLE) => Place::New,
            (Place::Old, OLD | NEW) => return Err(form(MIDDLE)),
            (Place::New, OLD | MIDDLE) => return Err(form(NEW)),
            (Place::Old, line) => {
                if let Some(block) = blocks.last_mut() {
                    block.old.extend([line, "\n"]);
                    block.line = number;
                }
                Place::Old
            }
            (Place::New, line) => {
                if let Some(block) = blocks.last_mut() {
                    block.new.extend([line, "\n"]);
                }
                Place::New
            }
        };
    }
    match place {
        Place::Between => Ok(blocks),
        Place::Old | Place::New => {
            let line = edits.lines().count();
            Err(EditError::Form { line, found: "the end".to_owned(), wanted: NEW })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_replace_insert_and_remove_lines() {
        let edits = "<<<<<<<\nb\n=======\nB\nB2\n>>>>>>>\n\n<<<<<<<\nc\n=======\n>>>>>>>\n";
        assert_eq!(apply("a\nb\nc\nd\n", edits).unwrap(), "a\nB\nB2\nd\n");
    }

    #[test]
    fn an_edit_that_fits_nowhere_or_twice_is_an_error_with_its_line() {
        let edit = |old: &str| format!("<<<<<<<\n{old}=======\nx\n>>>>>>>\n");
        assert_eq!(apply("a\na\n", &edit("a\n")), Err(EditError::NotOnce { line: 2, times: 2 }));
        assert_eq!(apply("a\n", &edit("b\n")), Err(EditError::NotOnce { line: 2, times: 0 }));
        assert!(matches!(apply("a\n", &edit("")), Err(EditError::NotOnce { line: 1, .. })));
    }

    #[test]
    fn an_edit_out_of_form_is_an_error_with_its_line() {
        for (edits, line) in [
            ("a\n", 1),
            ("<<<<<<<\na\n>>>>>>>\n", 3),
            ("<<<<<<<\na\n=======\n=======\n", 4),
            ("<<<<<<<\na\n=======\nb\n", 4),
        ] {
            assert!(
                matches!(apply("a\n", edits), Err(EditError::Form { line: l, .. }) if l == line),
                "{edits}"
            );
        }
    }
}
