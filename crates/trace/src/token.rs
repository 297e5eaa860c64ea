//! The printable form of a schedule: `program:choices`.
//!
//! The part behind the last colon is base 58 over these bytes: a header (version in the upper four
//! bits, whether settings follow in the lowest, whether the execution is one that a checker explored
//! in the one above that), the fingerprint (2), the settings if they are not the default ones, then for every choice that is not the default the number of defaults before
//! it and the choice itself, all as LEB128. A check byte closes the text, so a mistyped token is
//! told from one of another program.

use crate::{Choice, Inject, MemoryModel, Point, Schedule, Settings};
use std::fmt;
use std::str::FromStr;

const VERSION: u8 = 0;
/// The version of tokens of executions that only a checker knows to be possible.
const VERSION_EXPLORED: u8 = 1;
const HAS_SETTINGS: u8 = 1;
const IS_EXPLORED: u8 = 2;
/// The bit behind the memory model and the faults which says that [`Settings::insistence`] follows.
const INSISTS: u8 = 1 << 7;
const ALPHABET: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
/// Bytes encoded together, so that the cost stays linear in the length of the token.
const BLOCK: usize = 32;
/// A gap this large is no schedule but a typing error that happened to pass the check byte.
const LONGEST: u64 = 1 << 28;

/// Why a text is not a schedule token.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenError {
    /// There is no colon, or nothing before it.
    NoProgram,
    /// A character that no token contains.
    BadCharacter(char),
    /// The check byte is wrong, or the text ends too early: a typing error.
    Damaged,
    /// The token was written by a newer version.
    NewerVersion(u8),
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoProgram => {
                f.write_str("a token looks like `program:4kQ7`; copy it whole, with the program's name")
            }
            Self::BadCharacter(c) => write!(f, "a token has no character {c:?}; copy it whole"),
            Self::Damaged => {
                f.write_str("the token is damaged (a character is wrong or missing); copy it whole")
            }
            Self::NewerVersion(v) => {
                write!(f, "the token is of format {v}, newer than this racefuzz; update it")
            }
        }
    }
}

impl std::error::Error for TokenError {}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = Vec::with_capacity(16);
        let default_settings = self.settings == Settings::default();
        let (version, explored) =
            if self.settings.explored { (VERSION_EXPLORED, IS_EXPLORED) } else { (VERSION, 0) };
        bytes.push(version << 4 | if default_settings { 0 } else { HAS_SETTINGS } | explored);
        bytes.extend(self.fingerprint.to_le_bytes());
        if !default_settings {
            write_settings(&mut bytes, &self.settings);
        }
        let mut gap = 0u64;
        for choice in self.trimmed() {
            if choice.is_default() {
                gap += 1;
            } else {
                write_number(&mut bytes, gap);
                write_number(&mut bytes, u64::from(choice.index()) << 3 | choice.point() as u64);
                gap = 0;
            }
        }
        bytes.push(check(&bytes));
        write!(f, "{}:{}", self.program, encode(&bytes))
    }
}

impl FromStr for Schedule {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let (program, code) = text.trim().rsplit_once(':').ok_or(TokenError::NoProgram)?;
        if program.is_empty() {
            return Err(TokenError::NoProgram);
        }
        let bytes = decode(code)?;
        let (&last, mut rest) = bytes.split_last().ok_or(TokenError::Damaged)?;
        if check(rest) != last {
            return Err(TokenError::Damaged);
        }
        let header = take(&mut rest)?;
        if header >> 4 > VERSION_EXPLORED {
            return Err(TokenError::NewerVersion(header >> 4));
        }
        let fingerprint = u16::from_le_bytes([take(&mut rest)?, take(&mut rest)?]);
        let mut settings = match header & HAS_SETTINGS {
            0 => Settings::default(),
            _ => read_settings(&mut rest)?,
        };
        settings.explored = header & IS_EXPLORED != 0;
        let mut choices = Vec::new();
        let mut total = 0;
        while !rest.is_empty() {
            let gap = read_number(&mut rest)?;
            let code = read_number(&mut rest)?;
            total += gap + 1;
            let point = Point::from_bits((code & 7) as u32).ok_or(TokenError::Damaged)?;
            let index = code >> 3;
            if total > LONGEST || index == 0 || index > LONGEST {
                return Err(TokenError::Damaged);
            }
            choices.resize(choices.len() + gap as usize, Choice::DEFAULT);
            choices.push(Choice::new(point, index as u32));
        }
        Ok(Self { program: program.to_owned(), settings, fingerprint, choices })
    }
}

fn write_settings(bytes: &mut Vec<u8>, settings: &Settings) {
    let memory = MemoryModel::ALL.iter().position(|model| *model == settings.memory).unwrap_or(0);
    let insists = if settings.insistence > 0 { INSISTS } else { 0 };
    bytes.push(memory as u8 | settings.inject.bits() << 2 | insists);
    write_number(bytes, u64::from(settings.max_steps));
    if settings.insistence > 0 {
        write_number(bytes, u64::from(settings.insistence));
    }
    write_number(bytes, settings.params.len() as u64);
    for text in settings.params.iter().flat_map(|(name, value)| [name, value]) {
        write_number(bytes, text.len() as u64);
        bytes.extend(text.as_bytes());
    }
}

fn read_settings(rest: &mut &[u8]) -> Result<Settings, TokenError> {
    let bits = take(rest)?;
    let memory = *MemoryModel::ALL.get(usize::from(bits & 3)).ok_or(TokenError::Damaged)?;
    let max_steps = read_number(rest)?.try_into().map_err(|_| TokenError::Damaged)?;
    let insistence = match bits & INSISTS {
        0 => 0,
        _ => read_number(rest)?.try_into().map_err(|_| TokenError::Damaged)?,
    };
    let inject = Inject::from_bits((bits & !INSISTS) >> 2);
    let count = read_number(rest)?;
    let mut params = Vec::new();
    for _ in 0..count {
        params.push((read_text(rest)?, read_text(rest)?));
    }
    Ok(Settings { memory, max_steps, inject, params, explored: false, insistence })
}

fn read_text(rest: &mut &[u8]) -> Result<String, TokenError> {
    let length = usize::try_from(read_number(rest)?).map_err(|_| TokenError::Damaged)?;
    let (text, tail) = rest.split_at_checked(length).ok_or(TokenError::Damaged)?;
    *rest = tail;
    String::from_utf8(text.to_vec()).map_err(|_| TokenError::Damaged)
}

fn take(rest: &mut &[u8]) -> Result<u8, TokenError> {
    let (&first, tail) = rest.split_first().ok_or(TokenError::Damaged)?;
    *rest = tail;
    Ok(first)
}

fn write_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn read_number(rest: &mut &[u8]) -> Result<u64, TokenError> {
    let mut number = 0u64;
    for shift in (0..63).step_by(7) {
        let byte = take(rest)?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(TokenError::Damaged)
}

/// FNV-1a, folded to one byte.
fn check(bytes: &[u8]) -> u8 {
    let hash =
        bytes.iter().fold(0x811c_9dc5u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    (hash ^ hash >> 8 ^ hash >> 16 ^ hash >> 24) as u8
}

/// Characters needed for a block of `length` bytes: the least n with 58^n >= 256^length.
const fn width(length: usize) -> usize {
    // log(256)/log(58) = 1.36565...; exact for every length up to BLOCK.
    (length * 136_566).div_ceil(100_000)
}

fn encode(bytes: &[u8]) -> String {
    let mut text = String::new();
    for block in bytes.chunks(BLOCK) {
        let mut digits = vec![0u8; width(block.len())];
        for byte in block {
            let mut carry = u32::from(*byte);
            for digit in digits.iter_mut().rev() {
                carry += u32::from(*digit) << 8;
                *digit = (carry % 58) as u8;
                carry /= 58;
            }
        }
        text.extend(digits.iter().map(|digit| char::from(ALPHABET[usize::from(*digit)])));
    }
    text
}

fn decode(text: &str) -> Result<Vec<u8>, TokenError> {
    let mut digits = Vec::with_capacity(text.len());
    for c in text.chars() {
        let digit = ALPHABET.iter().position(|known| char::from(*known) == c);
        digits.push(digit.ok_or(TokenError::BadCharacter(c))? as u32);
    }
    let mut bytes = Vec::new();
    for block in digits.chunks(width(BLOCK)) {
        let length = (1..=BLOCK).find(|length| width(*length) == block.len()).ok_or(TokenError::Damaged)?;
        let mut decoded = vec![0u8; length];
        for digit in block {
            let mut carry = *digit;
            for byte in decoded.iter_mut().rev() {
                carry += u32::from(*byte) * 58;
                *byte = carry as u8;
                carry >>= 8;
            }
            if carry != 0 {
                return Err(TokenError::Damaged);
            }
        }
        bytes.extend(decoded);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_schedule_with_one_switch_has_a_short_token() {
        let mut choices = vec![Choice::DEFAULT; 5];
        choices.push(Choice::new(Point::Thread, 1));
        let schedule =
            Schedule { program: "refcount".into(), settings: Settings::default(), fingerprint: 7, choices };
        assert!(schedule.to_string().len() <= "refcount:".len() + 9, "{schedule}");
    }

    #[test]
    fn a_mistyped_token_is_refused() {
        let schedule = Schedule {
            program: "a".into(),
            settings: Settings::default(),
            fingerprint: 99,
            choices: vec![Choice::new(Point::Thread, 3)],
        };
        let token = schedule.to_string();
        assert_eq!("4kQ7".parse::<Schedule>(), Err(TokenError::NoProgram));
        assert_eq!("a:0OIl".parse::<Schedule>(), Err(TokenError::BadCharacter('0')));
        assert_eq!(token[..token.len() - 1].parse::<Schedule>(), Err(TokenError::Damaged));
        assert_eq!("a:".parse::<Schedule>(), Err(TokenError::Damaged));
    }

    fn choice() -> impl Strategy<Value = Choice> {
        (0u32..8, 0u32..40).prop_map(|(point, index)| {
            if index < 30 { Choice::DEFAULT } else { Choice::new(Point::from_bits(point).unwrap(), index) }
        })
    }

    proptest! {
        #[test]
        fn every_schedule_survives_its_token(
            choices in proptest::collection::vec(choice(), 0..200),
            fingerprint: u16,
            max_steps in 1u32..,
            explored: bool,
            bits in 0u8..32,
            insistence in prop_oneof![Just(0), any::<u32>()],
            params in proptest::collection::vec(("[a-z]{1,8}", "[ -~]{0,12}"), 0..3),
        ) {
            let settings = Settings { max_steps, inject: Inject::from_bits(bits), params, explored, insistence, ..Settings::default() };
            let schedule = Schedule { program: "mod::name".into(), settings, fingerprint, choices };
            let back: Schedule = schedule.to_string().parse().unwrap();
            prop_assert_eq!(back.trimmed(), schedule.trimmed());
            prop_assert_eq!(&back.settings, &schedule.settings);
            prop_assert_eq!(back.fingerprint, schedule.fingerprint);
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC{0,40}") {
            let _ = format!("a:{text}").parse::<Schedule>();
        }
    }
}
