//! Numbers by index, most of them equal in many copies: a tree whose parts copies share.

use std::sync::Arc;

/// Entries of a leaf.
const LEAF: usize = 128;
/// Children of an inner node.
const WIDTH: usize = 16;

/// A part of a tree. Absent children are parts in which all is 0.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "there are several leaves to each inner node")]
enum Node {
    Leaf([u32; LEAF]),
    Inner([Option<Arc<Node>>; WIDTH]),
}

/// A number for each index, 0 where none was set.
#[derive(Clone, Debug, Default)]
pub(super) struct Tree {
    root: Option<Arc<Node>>,
    /// Inner nodes above each leaf.
    height: u32,
}

/// The indices below a node that has so many inner nodes above each leaf, itself included.
const fn span(height: u32) -> usize {
    LEAF * WIDTH.pow(height)
}

impl Node {
    fn zero(height: u32) -> Arc<Self> {
        Arc::new(match height {
            0 => Self::Leaf([0; LEAF]),
            _ => Self::Inner([const { None }; WIDTH]),
        })
    }

    fn get(&self, index: usize, height: u32) -> u32 {
        match self {
            Self::Leaf(entries) => entries[index],
            Self::Inner(children) => {
                let span = span(height - 1);
                children[index / span].as_ref().map_or(0, |child| child.get(index % span, height - 1))
            }
        }
    }

    fn set(node: &mut Arc<Self>, index: usize, number: u32, height: u32) {
        match Arc::make_mut(node) {
            Self::Leaf(entries) => entries[index] = number,
            Self::Inner(children) => {
                let span = span(height - 1);
                let child = children[index / span].get_or_insert_with(|| Self::zero(height - 1));
                Self::set(child, index % span, number, height - 1);
            }
        }
    }

    /// Whether no entry of another node of the same height is greater.
    fn covers(this: &Arc<Self>, other: &Arc<Self>) -> bool {
        if Arc::ptr_eq(this, other) {
            return true;
        }
        match (&**this, &**other) {
            (Self::Leaf(mine), Self::Leaf(theirs)) => {
                // As in `Clock::join`, signed and without a branch: in vectors.
                let less = |(mine, theirs): (&u32, &u32)| u32::from((*mine as i32) < *theirs as i32);
                mine.iter().zip(theirs).map(less).fold(0, |any, less| any | less) == 0
            }
            (Self::Inner(mine), Self::Inner(theirs)) => {
                mine.iter().zip(theirs).all(|(mine, theirs)| match (mine, theirs) {
                    (Some(mine), Some(theirs)) => Self::covers(mine, theirs),
                    (None, Some(theirs)) => theirs.is_zero(),
                    (_, None) => true,
                })
            }
            _ => unreachable!("nodes of one height are of one kind"),
        }
    }

    fn is_zero(&self) -> bool {
        match self {
            Self::Leaf(entries) => *entries == [0; LEAF],
            Self::Inner(children) => children.iter().flatten().all(|child| child.is_zero()),
        }
    }

    /// Each entry becomes the greater of the two, which are of the same height.
    fn join(node: &mut Arc<Self>, other: &Arc<Self>) {
        if Arc::ptr_eq(node, other) {
            return;
        }
        if let (Self::Leaf(mine), Self::Leaf(theirs)) = (&**node, &**other) {
            let (mut joined, mut gained, mut kept) = ([0; LEAF], 0, 0);
            for ((joined, mine), theirs) in joined.iter_mut().zip(mine).zip(theirs) {
                *joined = (*mine as i32).max(*theirs as i32) as u32;
                gained |= *joined ^ *mine;
                kept |= *joined ^ *theirs;
            }
            if gained == 0 {
                return;
            }
            if kept == 0 {
                node.clone_from(other);
                return;
            }
            *Arc::make_mut(node) = Self::Leaf(joined);
            return;
        }
        let mut differs = false;
        if let (Self::Inner(mine), Self::Inner(theirs)) = (Arc::make_mut(node), &**other) {
            for (mine, theirs) in mine.iter_mut().zip(theirs) {
                match (&mut *mine, theirs) {
                    (Some(mine), Some(theirs)) => Self::join(mine, theirs),
                    (None, Some(theirs)) => *mine = Some(Arc::clone(theirs)),
                    (_, None) => {}
                }
                differs |= mine.as_ref().map(Arc::as_ptr) != theirs.as_ref().map(Arc::as_ptr);
            }
        }
        if !differs {
            node.clone_from(other);
        }
    }
}

impl Tree {
    /// Whether no number was set.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.root.is_none()
    }

    #[inline(never)]
    pub(super) fn get(&self, index: usize) -> u32 {
        match &self.root {
            Some(root) if index < span(self.height) => root.get(index, self.height),
            _ => 0,
        }
    }

    #[inline(never)]
    pub(super) fn set(&mut self, index: usize, number: u32) {
        while self.root.is_none() && index >= span(self.height) {
            self.height += 1;
        }
        while index >= span(self.height) {
            self.grow();
        }
        let root = self.root.get_or_insert_with(|| Node::zero(self.height));
        Node::set(root, index, number, self.height);
    }

    /// The same numbers, with room for more.
    fn grow(&mut self) {
        if let Some(root) = self.root.take() {
            let mut children = [const { None }; WIDTH];
            children[0] = Some(root);
            self.root = Some(Arc::new(Node::Inner(children)));
        }
        self.height += 1;
    }

    #[inline(never)]
    pub(super) fn covers(&self, other: &Self) -> bool {
        let (Some(mine), Some(theirs)) = (&self.root, &other.root) else {
            return other.root.as_ref().is_none_or(|root| root.is_zero());
        };
        if self.height == other.height {
            return Node::covers(mine, theirs);
        }
        let mut lower = if self.height < other.height { self.clone() } else { other.clone() };
        while lower.height < self.height.max(other.height) {
            lower.grow();
        }
        if self.height < other.height { lower.covers(other) } else { self.covers(&lower) }
    }

    /// Each number becomes the greater of the two.
    #[inline(never)]
    pub(super) fn join(&mut self, other: &Self) {
        let Some(theirs) = &other.root else { return };
        if self.root.is_none() {
            self.copy_from(other);
            return;
        }
        while self.height < other.height {
            self.grow();
        }
        let mut height = self.height;
        let Some(mut node) = self.root.as_mut() else { return };
        while height > other.height {
            // The other's indices are all below the first child.
            let Node::Inner(children) = Arc::make_mut(node) else { unreachable!("higher than a leaf") };
            height -= 1;
            node = children[0].get_or_insert_with(|| Node::zero(height));
        }
        Node::join(node, theirs);
    }

    #[inline(never)]
    pub(super) fn copy_from(&mut self, other: &Self) {
        let same = match (&self.root, &other.root) {
            (Some(mine), Some(theirs)) => Arc::ptr_eq(mine, theirs),
            (mine, theirs) => mine.is_none() && theirs.is_none(),
        };
        if !same {
            self.root.clone_from(&other.root);
        }
        self.height = other.height;
    }

    #[inline(never)]
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

impl PartialEq for Tree {
    fn eq(&self, other: &Self) -> bool {
        self.covers(other) && other.covers(self)
    }
}

impl Eq for Tree {}

/// As the numbers up to the last that is not 0.
#[cfg(feature = "serde")]
impl serde::Serialize for Tree {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let all = if self.is_empty() { 0 } else { span(self.height) };
        let mut numbers: Vec<u32> = (0..all).map(|index| self.get(index)).collect();
        while numbers.last() == Some(&0) {
            numbers.pop();
        }
        numbers.serialize(serializer)
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for Tree {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let numbers = Vec::<u32>::deserialize(deserializer)?;
        let mut tree = Self::default();
        for (index, number) in numbers.into_iter().enumerate().filter(|(_, number)| *number != 0) {
            tree.set(index, number);
        }
        Ok(tree)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::execution::mix;

    /// Several trees beside the plain vectors that they stand for.
    #[test]
    fn trees_are_vectors() {
        const TREES: usize = 4;
        const SIZES: [usize; 4] = [20, 40, 600, 9000];
        let mut trees: [Tree; TREES] = Default::default();
        let mut vectors: [Vec<u32>; TREES] = std::array::from_fn(|_| vec![0; SIZES[3]]);
        for step in 0..3_000u64 {
            let word = mix(step, 1);
            let (one, other) = (word as usize % TREES, (word >> 8) as usize % TREES);
            let index = (word >> 32) as usize % SIZES[(word >> 24) as usize % SIZES.len()];
            match (word >> 16) % 8 {
                0..=3 => {
                    trees[one].set(index, step as u32);
                    vectors[one][index] = step as u32;
                }
                4 | 5 => {
                    let theirs = trees[other].clone();
                    trees[one].join(&theirs);
                    let theirs = vectors[other].clone();
                    vectors[one].iter_mut().zip(theirs).for_each(|(mine, theirs)| *mine = theirs.max(*mine));
                }
                6 => {
                    let theirs = trees[other].clone();
                    trees[one].copy_from(&theirs);
                    vectors[one] = vectors[other].clone();
                }
                _ if word >> 60 == 0 => {
                    trees[one].clear();
                    vectors[one].fill(0);
                }
                _ => {}
            }
            let covers = vectors[one].iter().zip(&vectors[other]).all(|(mine, theirs)| mine >= theirs);
            assert_eq!(trees[one].covers(&trees[other]), covers);
            assert_eq!(trees[one] == trees[other], vectors[one] == vectors[other]);
            assert_eq!(trees[one].get(index), vectors[one][index]);
        }
        for (tree, vector) in trees.iter().zip(&vectors) {
            assert!((0..SIZES[3]).all(|index| tree.get(index) == vector[index]));
        }
    }
}
