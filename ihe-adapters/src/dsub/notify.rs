//! ITI-53: the message that tells of an object.
//!
//! Spec: ITI TF-2 3.53.4.1.2

use super::subscribe::Subscription;
use super::{SIMPLE_DIALECT, Topic};
use crate::wire::ebrim::{RegistryObject, write_object, write_object_ref};
use crate::wire::namespaces::{LCM, RIM, WSA, WSNT};
use crate::wire::xml::{Element, Fragment};

/// What the message is for.
pub(crate) const ACTION: &str = "http://docs.oasis-open.org/wsn/bw-2/NotificationConsumer/Notify";

/// About how many bytes an object has.
const OBJECT_BYTES: usize = 8 << 10;

/// Writes the message that tells a subscription, known by an address, of an object.
pub fn notify(subscription: &Subscription, reference: &str, object: &RegistryObject) -> Element {
    let element = |local: &str| Element::new(WSNT, local);
    let mut told = Fragment::new(RIM, OBJECT_BYTES);
    match subscription.topic {
        Topic::MinimalDocumentEntry => write_object_ref(&object.id, object.home.as_deref(), &mut told),
        Topic::FullDocumentEntry | Topic::SubmissionSetMetadata | Topic::FolderMetadata => {
            write_object(object, &mut told);
        }
    }
    let list = Element::new(RIM, "RegistryObjectList").with_fragment(told);
    let request = Element::new(LCM, "SubmitObjectsRequest").with_child(list);
    let topic = element("Topic").with_attribute("Dialect", SIMPLE_DIALECT);
    let address = Element::new(WSA, "Address").with_text(reference);
    let message = element("NotificationMessage")
        .with_child(element("SubscriptionReference").with_child(address))
        .with_child(topic.with_text(subscription.topic.name()))
        .with_child(element("Message").with_child(request));
    element("Notify").with_child(message)
}
