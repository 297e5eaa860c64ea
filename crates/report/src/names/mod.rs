//! Names people recognise, for threads and objects.

mod source;

#[cfg(feature = "fix")]
pub(crate) use source::name_at;

use crate::Sources;
use crate::words::clean;
use racefuzz_trace::{ObjectId, ObjectInfo, ObjectKind, Site, SiteId, ThreadEnd, ThreadId, Trace};
use std::collections::{HashMap, HashSet};

/// The names in one trace.
pub(crate) struct Names {
    pub(crate) threads: Vec<String>,
    pub(crate) objects: Vec<String>,
}

impl Names {
    pub(crate) fn new(trace: &Trace, sources: &dyn Sources) -> Self {
        let threads = thread_names(trace);
        let objects = trace.objects.iter().map(|object| object_name(object, trace, sources, &threads));
        let named: Vec<Option<String>> = objects.collect();
        let fields = match named.iter().all(Option::is_some) {
            true => HashMap::new(),
            false => field_names(trace, sources, &named),
        };
        let used: HashSet<ObjectId> = trace.events.iter().filter_map(|event| event.object).collect();
        let unnamed = |object: &ObjectInfo| {
            let field = fields.get(&object.id).map(|(_, field)| clean(field));
            field.unwrap_or_else(|| place_name(object, trace, used.contains(&object.id)))
        };
        let objects = trace.objects.iter().zip(named);
        let mut objects: Vec<_> =
            objects.map(|(object, name)| name.unwrap_or_else(|| unnamed(object))).collect();
        tell_apart_from_contents(trace, &mut objects);
        let memory: HashSet<String> = (trace.objects.iter().zip(&objects))
            .filter(|(object, _)| object.kind == ObjectKind::Allocation)
            .map(|(_, name)| name.clone())
            .collect();
        // What nothing is told of needs no number beside the memory that it is in.
        let counts = |(object, name): (&ObjectInfo, &String)| {
            object.kind == ObjectKind::Allocation || !memory.contains(name) || used.contains(&object.id)
        };
        let counted = trace.objects.iter().zip(&objects).map(counts).collect();
        Self { objects: distinct(objects, counted), threads }
    }

    pub(crate) fn thread(&self, id: ThreadId) -> &str {
        self.threads.get(id.index()).map_or("a thread", String::as_str)
    }

    pub(crate) fn object(&self, id: ObjectId) -> &str {
        self.objects.get(id.index()).map_or("an object", String::as_str)
    }
}

fn thread_names(trace: &Trace) -> Vec<String> {
    let (mut threads, mut tasks) = (0, 0);
    let names = trace.threads.iter().map(|thread| {
        // Counted even when named, so that "thread 2" is the second one whatever the first is called.
        let ordinal = if thread.task { &mut tasks } else { &mut threads };
        let number = *ordinal + usize::from(thread.task);
        *ordinal += 1;
        match &thread.name {
            Some(name) if !name.trim().is_empty() => clean(name),
            _ if thread.id == ThreadId::ROOT => "main".to_owned(),
            _ if thread.task => format!("task {number}"),
            _ => format!("thread {number}"),
        }
    });
    let names: Vec<String> = names.collect();
    let counted = vec![true; names.len()];
    distinct(names, counted)
}

/// What the user called an object where it was made, if that can be told.
fn object_name(
    object: &ObjectInfo,
    trace: &Trace,
    sources: &dyn Sources,
    threads: &[String],
) -> Option<String> {
    if let Some(name) = object.name.as_deref().filter(|name| !name.trim().is_empty()) {
        return Some(clean(name));
    }
    if object.kind == ObjectKind::Console {
        return Some("console".to_owned());
    }
    let Some(site) = object.created.and_then(|site| trace.sites.get(site.index())) else {
        return match object.kind {
            // A park token has no constructor; its thread is what people know.
            ObjectKind::Thread => Some(
                parked_thread(object.id, trace, threads)
                    .unwrap_or_else(|| format!("thread handle {}", object.id.0)),
            ),
            _ => None,
        };
    };
    let text = sources.text(&site.file)?;
    let name = clean(&source::name_at(&text, site.line, site.column)?);
    // What is bound is the pointer to it.
    let points = object.kind == ObjectKind::Allocation && !name.starts_with('*');
    Some(if points { format!("*{name}") } else { name })
}

/// The fields that objects without a name are in, as the calls of their methods have them: of several the
/// first in the source.
fn field_names<'t>(
    trace: &'t Trace,
    sources: &dyn Sources,
    named: &[Option<String>],
) -> HashMap<ObjectId, (&'t Site, String)> {
    let mut fields: HashMap<ObjectId, (&Site, String)> = HashMap::new();
    // An execution may pass one place many times.
    let mut passed: HashSet<(ObjectId, SiteId)> = HashSet::new();
    for event in &trace.events {
        let Some(object) =
            event.object.filter(|object| named.get(object.index()).is_some_and(Option::is_none))
        else {
            continue;
        };
        let Some(site) = trace.sites.get(event.site.index()) else { continue };
        let known = fields.get(&object).is_some_and(|(known, _)| *known <= site);
        if known || !passed.insert((object, event.site)) {
            continue;
        }
        let text = sources.text(&site.file);
        if let Some(field) = text.and_then(|text| source::field_at(&text, site.line, site.column)) {
            fields.insert(object, (site, field));
        }
    }
    fields
}

/// A name for what has none: what it is, and where it was made, if that is known.
fn place_name(object: &ObjectInfo, trace: &Trace, used: bool) -> String {
    let word = object.kind.word();
    match object.created.and_then(|site| trace.sites.get(site.index())) {
        // What no step has used was met where it is gone; that is not where it was made.
        Some(site) if used => format!("{word} at {site}"),
        _ => word.to_owned(),
    }
}

/// The thread whose token the object is: the one that parks on it or is unparked through it.
fn parked_thread(object: ObjectId, trace: &Trace, threads: &[String]) -> Option<String> {
    use racefuzz_trace::Verb::{Park, Unpark};
    let mut events = trace.events.iter().filter(|event| event.object == Some(object));
    let used = events.find_map(|event| match event.verb {
        Park => Some(event.thread),
        Unpark => event.other,
        _ => None,
    });
    let waits = || {
        let mut ends = trace.threads.iter().filter(|thread| {
            matches!(&thread.end, ThreadEnd::Blocked { verb: Park, object: on, .. } if *on == Some(object))
        });
        ends.next().map(|thread| thread.id)
    };
    threads.get(used.or_else(waits)?.index()).cloned()
}

/// In `let n = Arc::new(Var::new("n", 0))` both are called `n`: the reference count gives way.
fn tell_apart_from_contents(trace: &Trace, names: &mut [String]) {
    let contents = |object: &&ObjectInfo| object.kind != ObjectKind::Arc;
    let taken: HashSet<String> = trace
        .objects
        .iter()
        .zip(&*names)
        .filter(|(object, _)| contents(object))
        .map(|(_, name)| name.clone())
        .collect();
    for (object, name) in trace.objects.iter().zip(names) {
        if object.kind == ObjectKind::Arc && taken.contains(name) {
            *name = format!("Arc of {name}");
        }
    }
}

/// Numbers the names that occur more than once, of those that count: `lock#1`, `lock#2`.
fn distinct(names: Vec<String>, counted: Vec<bool>) -> Vec<String> {
    let mut times: HashMap<String, usize> = HashMap::new();
    for (name, _) in names.iter().zip(&counted).filter(|(_, counted)| **counted) {
        *times.entry(name.clone()).or_default() += 1;
    }
    let mut seen: HashMap<String, usize> = HashMap::new();
    let number = |(name, counted): (String, bool)| {
        if !counted || times[&name] == 1 {
            return name;
        }
        let count = seen.entry(name.clone()).or_default();
        *count += 1;
        format!("{name}#{count}")
    };
    names.into_iter().zip(counted).map(number).collect()
}
