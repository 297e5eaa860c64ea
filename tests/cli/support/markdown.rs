//! README and the chapters of the book, as blocks of code between texts.

use super::package::repository;
use std::fs;
use std::path::PathBuf;

/// A document, and what is to be printed in it.
pub struct Document {
    path: PathBuf,
    text: String,
}

/// A fenced block of a document.
pub struct Block {
    /// The line before it that is not empty.
    pub before: String,
    /// What stands behind the fence.
    pub language: String,
    pub lines: Vec<String>,
}

impl Block {
    /// What is typed in a console block.
    pub fn commands(&self) -> Vec<&str> {
        let lines = self.lines.iter().filter(|_| self.language == "console");
        lines.filter_map(|line| line.strip_prefix("$ ")).collect()
    }

    /// The only command of a console block.
    pub fn command(&self) -> Option<&str> {
        let first = self.lines.first().and_then(|line| line.strip_prefix("$ "));
        first.filter(|_| self.commands().len() == 1)
    }

    /// What the command is said to print.
    pub fn printed(&self) -> String {
        self.lines[1..].join("\n")
    }

    /// The file that the block is, if the text before it ends with a path: "the test, `tests/a.rs`:".
    pub fn file(&self) -> Option<&str> {
        let (_, path) = self.before.strip_suffix("`:")?.rsplit_once('`')?;
        path.ends_with(".rs").then_some(path)
    }
}

/// README and all chapters.
pub fn documents() -> Vec<Document> {
    let mut paths: Vec<PathBuf> = fs::read_dir(repository().join("crates/book/text"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "md"))
        .collect();
    paths.sort();
    paths.insert(0, repository().join("README.md"));
    paths.into_iter().map(|path| Document { text: fs::read_to_string(&path).unwrap(), path }).collect()
}

/// One of them.
pub fn document(name: &str) -> Document {
    documents().into_iter().find(|document| document.path.ends_with(name)).expect("a document")
}

/// The chapters in the order of the table of contents.
pub fn contents() -> Vec<Document> {
    let contents = document("SUMMARY.md");
    let names = contents.text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap());
    names.map(document).collect()
}

impl Document {
    pub fn path(&self) -> &PathBuf {
        &self.path
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn blocks(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        let (mut before, mut open) = (String::new(), None::<Block>);
        for line in self.text.lines() {
            match (line.strip_prefix("```"), open.take()) {
                (Some(_), Some(block)) => blocks.push(block),
                (None, Some(mut block)) => {
                    block.lines.push(line.to_owned());
                    open = Some(block);
                }
                (Some(language), None) => {
                    let before = std::mem::take(&mut before);
                    open = Some(Block { before, language: language.to_owned(), lines: Vec::new() });
                }
                (None, None) if !line.trim().is_empty() => before = line.trim().to_owned(),
                (None, None) => {}
            }
        }
        blocks
    }

    /// Holds what a block says that its command prints against what it does print; with
    /// `RACEFUZZ_DOCUMENTS=write` the document is changed instead.
    pub fn compare(&mut self, block: &Block, printed: &str) {
        let printed = printed.trim_end();
        if block.printed() == printed {
            return;
        }
        let command = &block.lines[0];
        let write = std::env::var_os("RACEFUZZ_DOCUMENTS").is_some_and(|value| value == "write");
        assert!(write, "{} shows for `{command}`\n{}\nnot\n{printed}", self.path.display(), block.printed());
        let shown = block.lines.join("\n");
        let fresh = format!("```console\n{command}\n{printed}\n```");
        self.text = self.text.replacen(&format!("```console\n{shown}\n```"), &fresh, 1);
        fs::write(&self.path, &self.text).unwrap();
    }
}
