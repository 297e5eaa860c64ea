//! tokio#2134: the last receiver of a slot notifies the sender's condition variable without the tail
//! mutex; the sender looks at the slot under it and then waits.

use crate::{fails, holds};
use racefuzz_tests::defects::waking::{broadcast, broadcast_repaired};

#[test]
fn notified_without_the_mutex() {
    fails("lost wake-up", broadcast);
}

#[test]
fn notified_under_the_mutex() {
    holds(broadcast_repaired);
}
