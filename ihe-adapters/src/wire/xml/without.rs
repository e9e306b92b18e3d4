//! Cuts elements out of a text, and leaves the rest as it stands.

use quick_xml::events::Event;
use quick_xml::name::ResolveResult;
use quick_xml::reader::NsReader;

/// Returns a document without the elements of a name.
///
/// `None` when it cannot be read: what is wrong with it was told before.
pub fn source_without(source: &str, (namespace, local): (&str, &str)) -> Option<String> {
    let mut xml = NsReader::from_str(source);
    xml.config_mut().expand_empty_elements = false;
    let mut kept = String::with_capacity(source.len());
    let mut from = 0;
    // How many elements are open within one that is cut out, with it.
    let mut within = 0_usize;
    loop {
        let at = usize::try_from(xml.buffer_position()).ok()?;
        let event = xml.read_event().ok()?;
        let after = usize::try_from(xml.buffer_position()).ok()?;
        match event {
            Event::Start(_) if within > 0 => within += 1,
            Event::End(_) if within > 0 => {
                within -= 1;
                from = after;
            }
            Event::Start(ref start) | Event::Empty(ref start) if within == 0 => {
                let (bound, name) = xml.resolver().resolve_element(start.name());
                let is_it = matches!(bound, ResolveResult::Bound(found) if found.0 == namespace);
                if is_it && name.into_inner() == local {
                    kept.push_str(source.get(from..at)?);
                    from = after;
                    within = usize::from(matches!(event, Event::Start(_)));
                }
            }
            Event::Eof => {
                kept.push_str(source.get(from..)?);
                return Some(kept);
            }
            _ => {}
        }
    }
}
