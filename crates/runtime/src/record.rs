//! Recording: turns an execution into a [`Trace`].
//!
//! Sampling records only choices; an execution that is to be shown is run again with a recorder.

use crate::object::Shown;
use crate::site::Site;
use racefuzz_trace::{
    Event, MemoryModel, ObjectId, ObjectInfo, ObjectKind, SiteId, ThreadEnd, ThreadId, ThreadInfo, Trace,
    Value, normalize_path,
};
use std::collections::HashMap;

pub(crate) struct Recorder {
    pub(crate) trace: Trace,
    sites: HashMap<(&'static str, u32, u32), SiteId>,
    addresses: HashMap<u64, u32>,
    roots: Vec<String>,
}

impl Recorder {
    pub(crate) fn new(memory: MemoryModel, roots: &[String]) -> Self {
        Self {
            trace: Trace {
                memory,
                threads: Vec::new(),
                objects: Vec::new(),
                sites: Vec::new(),
                events: Vec::new(),
            },
            sites: HashMap::new(),
            addresses: HashMap::new(),
            roots: roots.to_vec(),
        }
    }

    pub(crate) fn site(&mut self, site: Site) -> SiteId {
        let location = site.location();
        let next = SiteId(self.trace.sites.len() as u32);
        let key = (location.file(), location.line(), location.column());
        *self.sites.entry(key).or_insert_with(|| {
            let roots: Vec<&str> = self.roots.iter().map(String::as_str).collect();
            self.trace.sites.push(racefuzz_trace::Site {
                file: normalize_path(location.file(), &roots),
                line: location.line(),
                column: location.column(),
            });
            next
        })
    }

    /// A value as the trace shows it: addresses become numbers in the order of appearance.
    pub(crate) fn value(&mut self, shown: Shown) -> Option<Value> {
        match shown {
            Shown::Value(value) => Some(value),
            Shown::Address(0) => Some(Value::Null),
            Shown::Address(address) => {
                let next = self.addresses.len() as u32 + 1;
                Some(Value::Pointer(*self.addresses.entry(address).or_insert(next)))
            }
            Shown::Nothing => None,
        }
    }

    pub(crate) fn object(&mut self, kind: ObjectKind, created: Site, name: Option<String>, initial: Shown) {
        let created = Some(self.site(created));
        let initial = self.value(initial);
        let id = ObjectId(self.trace.objects.len() as u32);
        self.trace.objects.push(ObjectInfo { id, kind, name, created, initial });
    }

    /// Where an object was created that is there already.
    pub(crate) fn created_at(&mut self, object: u32, created: Site) {
        let created = self.site(created);
        self.trace.objects[object as usize].created = Some(created);
    }

    pub(crate) fn thread(
        &mut self,
        parent: Option<u32>,
        name: Option<String>,
        spawned_at: Option<Site>,
        task: bool,
    ) {
        let spawned_at = spawned_at.map(|site| self.site(site));
        let id = ThreadId(self.trace.threads.len() as u32);
        let parent = parent.map(ThreadId);
        self.trace.threads.push(ThreadInfo {
            id,
            name,
            parent,
            spawned_at,
            task,
            epilogue_of: None,
            end: ThreadEnd::Stopped { site: None },
        });
    }

    /// A thread destroys the local values of another, behind whose end.
    pub(crate) fn is_epilogue(&mut self, thread: u32, of: u32) {
        self.trace.threads[thread as usize].epilogue_of = Some(ThreadId(of));
    }

    pub(crate) fn event(&mut self, mut event: Event) {
        event.step = self.trace.events.len() as u32;
        self.trace.events.push(event);
    }
}
