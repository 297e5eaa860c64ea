// Programs that are explored twice: over the standard library's types in a package that knows nothing of racefuzz, and
// over racefuzz's own. Whoever includes them says which.

// Store buffering.
pub fn buffers() {
    static X: AtomicU32 = AtomicU32::new(0);
    static Y: AtomicU32 = AtomicU32::new(0);
    let other = thread::spawn(|| {
        X.store(1, SeqCst);
        Y.load(SeqCst)
    });
    Y.store(1, SeqCst);
    let seen = X.load(SeqCst);
    assert!(seen + other.join().unwrap() > 0);
}

pub fn buffers_released() {
    static X: AtomicU32 = AtomicU32::new(0);
    static Y: AtomicU32 = AtomicU32::new(0);
    let other = thread::spawn(|| {
        X.store(1, Release);
        Y.load(Acquire)
    });
    Y.store(1, Release);
    let seen = X.load(Acquire);
    assert!(seen + other.join().unwrap() > 0);
}

pub fn passes_message() {
    static DATA: AtomicU32 = AtomicU32::new(0);
    static READY: AtomicU32 = AtomicU32::new(0);
    let sender = thread::spawn(|| {
        DATA.store(7, Relaxed);
        READY.store(1, Release);
    });
    if READY.load(Acquire) == 1 {
        assert_eq!(DATA.load(Relaxed), 7);
    }
    sender.join().unwrap();
}

pub fn passes_message_relaxed() {
    static DATA: AtomicU32 = AtomicU32::new(0);
    static READY: AtomicU32 = AtomicU32::new(0);
    let sender = thread::spawn(|| {
        DATA.store(7, Relaxed);
        READY.store(1, Relaxed);
    });
    if READY.load(Acquire) == 1 {
        assert_eq!(DATA.load(Relaxed), 7);
    }
    sender.join().unwrap();
}

pub fn fences() {
    static X: AtomicU32 = AtomicU32::new(0);
    static Y: AtomicU32 = AtomicU32::new(0);
    let other = thread::spawn(|| {
        X.store(1, Relaxed);
        fence(SeqCst);
        Y.load(Relaxed)
    });
    Y.store(1, Relaxed);
    fence(SeqCst);
    let seen = X.load(Relaxed);
    assert!(seen + other.join().unwrap() > 0);
}

pub fn counts() {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let others = [(); 2].map(|()| thread::spawn(|| COUNT.fetch_add(1, Relaxed)));
    COUNT.fetch_add(1, Relaxed);
    let _ = others.map(|other| other.join().unwrap());
    assert_eq!(COUNT.load(Relaxed), 3);
}

pub fn counts_under_lock() {
    static COUNT: Mutex<u32> = Mutex::new(0);
    let others = [(); 2].map(|()| thread::spawn(|| *COUNT.lock().unwrap() += 1));
    let _ = others.map(|other| other.join().unwrap());
    assert_eq!(*COUNT.lock().unwrap(), 2);
}

pub fn counts_apart() {
    static COUNT: Mutex<u32> = Mutex::new(0);
    let add = || {
        let count = *COUNT.lock().unwrap();
        *COUNT.lock().unwrap() = count + 1;
    };
    let other = thread::spawn(add);
    add();
    other.join().unwrap();
    assert_eq!(*COUNT.lock().unwrap(), 2);
}

pub fn tries() {
    static COUNT: Mutex<u32> = Mutex::new(0);
    let other = thread::spawn(|| {
        if let Ok(mut count) = COUNT.try_lock() {
            *count += 1;
        }
    });
    *COUNT.lock().unwrap() += 1;
    other.join().unwrap();
    assert!((1..3).contains(&*COUNT.lock().unwrap()));
}

pub fn reads_and_writes() {
    static VALUE: RwLock<u32> = RwLock::new(0);
    let writer = thread::spawn(|| *VALUE.write().unwrap() += 1);
    let reader = thread::spawn(|| VALUE.try_read().map_or(0, |value| *value));
    let seen = *VALUE.read().unwrap();
    writer.join().unwrap();
    assert!(seen + reader.join().unwrap() < 3);
    assert_eq!(*VALUE.read().unwrap(), 1);
}

pub fn orders_locks() {
    static A: Mutex<u32> = Mutex::new(0);
    static B: Mutex<u32> = Mutex::new(0);
    let other = thread::spawn(|| {
        let _a = A.lock().unwrap();
        *B.lock().unwrap() += 1;
    });
    let b = B.lock().unwrap();
    *A.lock().unwrap() += 1;
    drop(b);
    other.join().unwrap();
}

pub fn waits() {
    static READY: Mutex<bool> = Mutex::new(false);
    static CHANGED: Condvar = Condvar::new();
    let other = thread::spawn(|| {
        *READY.lock().unwrap() = true;
        CHANGED.notify_one();
    });
    let mut ready = READY.lock().unwrap();
    while !*ready {
        ready = CHANGED.wait(ready).unwrap();
    }
    drop(ready);
    other.join().unwrap();
}

pub fn waits_once() {
    static READY: Mutex<bool> = Mutex::new(false);
    static CHANGED: Condvar = Condvar::new();
    let other = thread::spawn(|| {
        CHANGED.notify_one();
        *READY.lock().unwrap() = true;
    });
    let mut ready = READY.lock().unwrap();
    while !*ready {
        ready = CHANGED.wait(ready).unwrap();
    }
    drop(ready);
    other.join().unwrap();
}

pub fn waits_for_a_time() {
    static READY: Mutex<bool> = Mutex::new(false);
    static CHANGED: Condvar = Condvar::new();
    let other = thread::spawn(|| {
        *READY.lock().unwrap() = true;
        CHANGED.notify_all();
    });
    let ready = READY.lock().unwrap();
    let (ready, _) = CHANGED.wait_timeout(ready, std::time::Duration::from_millis(5)).unwrap();
    drop(ready);
    other.join().unwrap();
}

pub fn spins() {
    static READY: AtomicU32 = AtomicU32::new(0);
    static DATA: AtomicU32 = AtomicU32::new(0);
    let other = thread::spawn(|| {
        DATA.store(1, Relaxed);
        READY.store(1, Release);
    });
    while READY.load(Acquire) == 0 {
        thread::yield_now();
    }
    assert_eq!(DATA.load(Relaxed), 1);
    other.join().unwrap();
}

pub fn meets() {
    static MEETING: LazyLock<Barrier> = LazyLock::new(|| Barrier::new(2));
    static DATA: AtomicU32 = AtomicU32::new(0);
    LazyLock::force(&MEETING);
    let other = thread::spawn(|| {
        DATA.store(1, Relaxed);
        MEETING.wait().is_leader()
    });
    let leads = MEETING.wait().is_leader();
    assert_eq!(DATA.load(Relaxed), 1);
    assert!(leads != other.join().unwrap());
}
