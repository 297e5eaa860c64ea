//! Counts of programs made of the primitives, argued.
use racefuzz_check::{Options, check};
use racefuzz_primitives::sync::{Arc, Barrier, Condvar, Mutex, RwLock, mpsc};
use racefuzz_primitives::{thread, var::Var};
use racefuzz_trace::Stats;

fn count(program: impl Fn() + Sync) -> Stats {
    let report = check(&Options { keep_going: true, ..Options::default() }, &program, &());
    let counts = report.stats;
    println!("{} complete, {} blocked, {} failing", counts.executions, counts.blocked, counts.failing);
    for failure in &report.failures {
        println!("   {} {} {}", failure.kind, failure.message, failure.schedule);
    }
    counts
}

fn refcount(threads: usize) -> Stats {
    count(|| {
        let references = Arc::new(Var::new("references", 5));
        let handles: Vec<_> = (0..threads)
            .map(|_| {
                let references = Arc::clone(&references);
                thread::spawn(move || {
                    let next = references.get() + 1;
                    references.set(next);
                })
            })
            .collect();
        for handle in handles {
            handle.join().unwrap();
        }
    })
}

#[test]
fn reads_and_writes_of_n_threads_are_n_factorial_squared() {
    assert_eq!(refcount(2).executions, 4);
    assert_eq!(refcount(3).executions, 36);
    assert_eq!(refcount(4).executions, 576);
}

fn mutex(threads: usize) -> Stats {
    count(|| {
        let lock = Arc::new(Mutex::new(0));
        let handles: Vec<_> = (0..threads)
            .map(|_| {
                let lock = Arc::clone(&lock);
                thread::spawn(move || *lock.lock().unwrap() += 1)
            })
            .collect();
        for handle in handles {
            handle.join().unwrap();
        }
        assert_eq!(*lock.lock().unwrap(), threads);
    })
}

#[test]
fn a_lock_that_n_threads_take_once_has_n_factorial_orders() {
    for (threads, orders) in [(1, 1), (2, 2), (3, 6), (4, 24), (5, 120)] {
        let stats = mutex(threads);
        assert_eq!((stats.executions, stats.blocked, stats.failing), (orders, 0, 0));
    }
}

#[test]
fn others() {
    println!("deadlock");
    count(|| {
        let (a, b) = (Arc::new(Mutex::new(0)), Arc::new(Mutex::new(0)));
        let (c, d) = (Arc::clone(&a), Arc::clone(&b));
        let t = thread::spawn(move || {
            let _a = c.lock();
            let _b = d.lock();
        });
        {
            let _b = b.lock();
            let _a = a.lock();
        }
        t.join().unwrap();
    });
    println!("try_lock");
    count(|| {
        let a = Arc::new(Mutex::new(0));
        let c = Arc::clone(&a);
        let t = thread::spawn(move || {
            let _a = c.lock();
        });
        let _ = a.try_lock().is_ok();
        t.join().unwrap();
    });
    println!("channel 2 senders");
    count(|| {
        let (tx, rx) = mpsc::channel();
        let tx2 = tx.clone();
        let a = thread::spawn(move || tx.send(1).unwrap());
        let b = thread::spawn(move || tx2.send(2).unwrap());
        let _ = (rx.recv().unwrap(), rx.recv().unwrap());
        a.join().unwrap();
        b.join().unwrap();
    });
    println!("condvar");
    count(|| {
        let pair = Arc::new((Mutex::new(false), Condvar::new()));
        let other = Arc::clone(&pair);
        let t = thread::spawn(move || {
            *other.0.lock().unwrap() = true;
            other.1.notify_one();
        });
        let mut ready = pair.0.lock().unwrap();
        while !*ready {
            ready = pair.1.wait(ready).unwrap();
        }
        drop(ready);
        t.join().unwrap();
    });
    println!("rwlock 2 readers 1 writer");
    count(|| {
        let lock = Arc::new(RwLock::new(0));
        let ts: Vec<_> = (0..2)
            .map(|_| {
                let l = Arc::clone(&lock);
                thread::spawn(move || *l.read().unwrap())
            })
            .collect();
        *lock.write().unwrap() += 1;
        for t in ts {
            t.join().unwrap();
        }
    });
    println!("barrier 3");
    count(|| {
        let b = Arc::new(Barrier::new(3));
        let ts: Vec<_> = (0..2)
            .map(|_| {
                let b = Arc::clone(&b);
                thread::spawn(move || b.wait().is_leader())
            })
            .collect();
        b.wait();
        for t in ts {
            t.join().unwrap();
        }
    });
    println!("park");
    count(|| {
        let me = thread::current();
        let t = thread::spawn(move || me.unpark());
        thread::park();
        t.join().unwrap();
    });
}
