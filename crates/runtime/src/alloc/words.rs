//! Words of shared memory that may be addresses of what the program has allocated.

use super::Region;

/// Whether a word may be an address that comes again within an execution, once what it belonged to is
/// freed: equal words may then be different objects. In arenas that is so only where it is asked for;
/// where the program has no arenas, any word that could be an address may come again.
pub fn may_recur(word: u64, reuse: bool) -> bool {
    (reuse || !Region::any()) && may_be_address(word)
}

/// What a word says apart from where memory lies that the program has allocated: the word itself, or, if there may be
/// such an address in it, the bits above and below that programs keep numbers in.
pub fn without_address(word: u64) -> u64 {
    const ADDRESS: u64 = (1 << 48) - 1;
    /// What is allocated is aligned to so many bytes at least.
    const ALIGNED: u64 = 16;
    match may_be_address(word & ADDRESS) {
        true => (word & !ADDRESS) | (1 << 47) | (word % ALIGNED),
        false => word,
    }
}

/// Whether a word may be the address of what the program has allocated: one of an arena, or any that could be one where
/// the program has none.
fn may_be_address(word: u64) -> bool {
    if Region::any() { Region::may_own(word as usize) } else { (1 << 32..1 << 47).contains(&word) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_apart() {
        let numbers = [0, 1, 7, u64::from(u32::MAX), -1_i64 as u64, -2_i64 as u64, i64::MIN as u64, 1 << 60];
        for number in numbers {
            assert_eq!(without_address(number), number);
        }
    }

    #[test]
    fn what_is_kept_beside_an_address_stays() {
        let [block, other] = [0x7f12_3456_7890_u64, 0x7f12_3456_9990];
        if may_be_address(block) {
            assert_eq!(without_address(block), without_address(other));
        }
        let tags = [0, 1, 2, 1 << 48, 3 << 62].map(|tag| without_address(block | tag));
        let different: std::collections::BTreeSet<u64> = tags.into_iter().collect();
        assert_eq!(different.len(), tags.len());
    }
}
