//! Folds loops: rows that repeat the rows before them become one line.

use crate::view::View;
use std::collections::{BTreeSet, HashMap};

/// A part of the trace, over indices into the selected events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// The event with this index.
    Step(usize),
    /// The `of` steps before happened `times` times in all; the first was the one at `from`.
    Repeat { from: usize, of: usize, times: usize },
    /// This many events are left out.
    Gap(usize),
}

/// The longest group looked for: a loop body of two threads that get in each other's way.
const LONGEST: usize = 12;

/// Folds what repeats. Events in `keys` are told apart from all others, so they stay visible.
pub(crate) fn fold(view: &View<'_>, selected: &[u32], texts: &[String], keys: &BTreeSet<u32>) -> Vec<Piece> {
    let mut classes = HashMap::new();
    let mut symbols = Vec::with_capacity(selected.len());
    for (step, text) in selected.iter().zip(texts) {
        let key = keys.contains(step).then_some(*step);
        let next = classes.len();
        symbols.push(*classes.entry((view.event(*step).thread, text, key)).or_insert(next));
    }
    fold_symbols(&symbols)
}

fn fold_symbols(symbols: &[usize]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut at = 0;
    while at < symbols.len() {
        match (1..=LONGEST).find_map(|of| repeats(&symbols[at..], of).map(|times| (of, times))) {
            Some((of, times)) => {
                pieces.extend((at..at + of).map(Piece::Step));
                pieces.push(Piece::Repeat { from: at, of, times });
                at += of * times;
            }
            None => {
                pieces.push(Piece::Step(at));
                at += 1;
            }
        }
    }
    pieces
}

/// How often the first `of` symbols stand there one after the other, if folding them pays.
fn repeats(symbols: &[usize], of: usize) -> Option<usize> {
    let group = symbols.get(..of)?;
    let times = symbols.chunks_exact(of).take_while(|chunk| *chunk == group).count();
    (times >= 3).then_some(times)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loops_of_one_and_of_several_rows_fold() {
        let folded = fold_symbols(&[0, 1, 1, 1, 1, 2, 3, 2, 3, 2, 3, 4]);
        let expected = [
            Piece::Step(0),
            Piece::Step(1),
            Piece::Repeat { from: 1, of: 1, times: 4 },
            Piece::Step(5),
            Piece::Step(6),
            Piece::Repeat { from: 5, of: 2, times: 3 },
            Piece::Step(11),
        ];
        assert_eq!(folded, expected);
        assert_eq!(fold_symbols(&[1, 1]), [Piece::Step(0), Piece::Step(1)]);
    }
}
