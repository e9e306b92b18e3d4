//! ANA, the national registry of assisted persons, as its contract is assumed
//! (ADR 22): a SOAP service that knows people, notes choices of practitioners once
//! for each message, and tells of variations.

use std::collections::HashMap;
use std::io::{BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quick_xml::escape::{escape, unescape};
use tests::http::Request;

const NAMESPACE: &str = "urn:lanterna:ana:assumed:1";

/// A person of the registry.
#[derive(Debug, Clone, Default)]
pub struct Person {
    /// The code of ANA.
    pub ana: String,
    /// The tax code.
    pub tax_code: String,
    /// The STP code.
    pub stp: String,
    /// The family name.
    pub family: String,
    /// The given names.
    pub given: String,
    /// `M` or `F`.
    pub sex: String,
    /// The date of birth.
    pub birth: String,
    /// Street, postal code, town, province.
    pub residence: Option<[String; 4]>,
    /// The date of death; empty for none.
    pub death: String,
    /// Region and ASL.
    pub authority: (String, String),
    /// The practitioner: tax code, family name, given name, since when.
    pub practitioner: Option<[String; 4]>,
}

/// A choice that was noted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Noted {
    /// The message.
    pub id: String,
    /// The identifier of the person.
    pub person: String,
    /// `S`, `C` or `R`.
    pub operation: String,
    /// The practitioner's tax code.
    pub practitioner: String,
}

/// How a message is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Behaviour {
    /// As it should be.
    Good,
    /// It is processed, and never answered: the connection is held open.
    SilentAfterwards,
    /// It is processed, and the connection broken.
    BrokenAfterwards,
    /// It is answered late.
    Slow(Duration),
    /// It is refused with a code.
    Refused(&'static str),
    /// It is answered with a SOAP fault.
    Fault,
    /// It is answered with an HTTP status and a page.
    Status(u16),
    /// It is answered with what is no message.
    Garbage,
}

/// Decides how a message is answered: its bytes, and how many came before.
pub type Script = Box<dyn Fn(&str, usize) -> Behaviour + Send>;

struct State {
    people: Vec<Person>,
    practitioners: Option<Vec<String>>,
    variations: Vec<(String, Person)>,
    noted: Vec<Noted>,
    answered: HashMap<String, String>,
    received: Vec<String>,
    script: Script,
    authorization: Option<String>,
}

/// The simulated registry.
pub struct AnaPeer {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    is_away: Arc<AtomicBool>,
    ends: Arc<AtomicBool>,
}

impl AnaPeer {
    /// Starts it on a port of loopback.
    ///
    /// # Panics
    /// When there is no port.
    pub fn start() -> AnaPeer {
        AnaPeer::listen("127.0.0.1:0".parse().expect("an address"))
    }

    /// Starts it at an address.
    ///
    /// # Panics
    /// When it cannot be listened on.
    pub fn listen(address: SocketAddr) -> AnaPeer {
        let listener = TcpListener::bind(address).expect("a port");
        let address = listener.local_addr().expect("an address");
        let state = State {
            people: Vec::new(),
            practitioners: None,
            variations: Vec::new(),
            noted: Vec::new(),
            answered: HashMap::new(),
            received: Vec::new(),
            script: Box::new(|_, _| Behaviour::Good),
            authorization: None,
        };
        let peer = AnaPeer {
            address,
            state: Arc::new(Mutex::new(state)),
            is_away: Arc::default(),
            ends: Arc::default(),
        };
        let (state, is_away, ends) = (peer.state.clone(), peer.is_away.clone(), peer.ends.clone());
        std::thread::spawn(move || accept(listener, address, &state, &is_away, &ends));
        peer
    }

    /// Returns where it is.
    pub fn url(&self) -> String {
        format!("http://{}/services/ana", self.address)
    }

    /// Makes a person known.
    pub fn know(&self, person: Person) {
        let mut state = self.state();
        state.people.retain(|known| known.ana != person.ana);
        state.people.push(person);
    }

    /// Says which practitioners are in service; all without.
    pub fn practitioners(&self, tax_codes: &[&str]) {
        self.state().practitioners = Some(tax_codes.iter().map(|&code| code.to_owned()).collect());
    }

    /// Lets something happen to a person, who is so from now on.
    pub fn happen(&self, what: &str, person: Person) {
        self.know(person.clone());
        self.state().variations.push((what.to_owned(), person));
    }

    /// Says how messages are answered.
    pub fn behave(&self, script: impl Fn(&str, usize) -> Behaviour + Send + 'static) {
        self.state().script = Box::new(script);
    }

    /// Asks who sends for this `Authorization`.
    pub fn ask_for(&self, authorization: &str) {
        self.state().authorization = Some(authorization.to_owned());
    }

    /// Goes away: nobody listens, and connections break.
    pub fn go_away(&self) {
        self.is_away.store(true, Ordering::SeqCst);
        // The listener wakes, and is closed.
        while TcpStream::connect(self.address).is_ok() {
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Comes back.
    pub fn come_back(&self) {
        self.is_away.store(false, Ordering::SeqCst);
        while TcpStream::connect(self.address).is_err() {
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Returns the choices that were noted, in their order.
    pub fn noted(&self) -> Vec<Noted> {
        self.state().noted.clone()
    }

    /// Returns the messages that came, in their order.
    pub fn received(&self) -> Vec<String> {
        self.state().received.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for AnaPeer {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

/// Takes connections, and while it is away none.
fn accept(
    listener: TcpListener,
    address: SocketAddr,
    state: &Arc<Mutex<State>>,
    is_away: &Arc<AtomicBool>,
    ends: &AtomicBool,
) {
    let mut open = Some(listener);
    while !ends.load(Ordering::SeqCst) {
        if is_away.load(Ordering::SeqCst) {
            open = None;
        } else if open.is_none() {
            open = TcpListener::bind(address).ok();
        }
        let Some(listener) = &open else {
            std::thread::sleep(Duration::from_millis(10));
            continue;
        };
        let Ok((stream, _)) = listener.accept() else { continue };
        let (state, is_away) = (Arc::clone(state), Arc::clone(is_away));
        std::thread::spawn(move || {
            let _ = serve(&stream, &state, &is_away);
        });
    }
}

fn serve(stream: &TcpStream, state: &Mutex<State>, is_away: &AtomicBool) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut writer = stream;
    while let Some(request) = Request::read(&mut reader)? {
        if is_away.load(Ordering::SeqCst) {
            return Ok(());
        }
        let xml = String::from_utf8_lossy(&request.body).into_owned();
        let (behaviour, answer) = {
            let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
            let before = state.received.len();
            state.received.push(xml.clone());
            let behaviour = (state.script)(&xml, before);
            let allowed = state.authorization.as_deref().is_none_or(|a| a == request.header("authorization"));
            let behaviour = if allowed { behaviour } else { Behaviour::Status(401) };
            let processes = !matches!(
                behaviour,
                Behaviour::Refused(_) | Behaviour::Fault | Behaviour::Status(_) | Behaviour::Garbage
            );
            let answer = if processes { state.process(&xml) } else { String::new() };
            (behaviour, answer)
        };
        let (status, body) = match behaviour {
            Behaviour::Good => (200, answer),
            Behaviour::Slow(by) => {
                std::thread::sleep(by);
                (200, answer)
            }
            Behaviour::SilentAfterwards => {
                // Until the other side goes.
                while Request::read(&mut reader)?.is_some() {}
                return Ok(());
            }
            Behaviour::BrokenAfterwards => return Ok(()),
            Behaviour::Refused(code) => (200, receipt(&xml, code, "rifiutato", "")),
            Behaviour::Fault => (500, fault()),
            Behaviour::Status(status) => (status, "<html>no message</html>".to_owned()),
            Behaviour::Garbage => (200, "<Envelope>garba".to_owned()),
        };
        write!(
            writer,
            "HTTP/1.1 {status} As told\r\nContent-Type: text/xml; charset=UTF-8\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )?;
    }
    Ok(())
}

impl State {
    /// Answers a message: one that was done before as the first time.
    fn process(&mut self, xml: &str) -> String {
        let id = value(xml, "idMessaggio");
        if let Some(answer) = self.answered.get(&id) {
            return answer.clone();
        }
        let answer = if xml.contains("VerificaAssistitoRichiesta") {
            match self.find(xml) {
                Some(person) => receipt(xml, "0000", "", &person.to_xml()),
                None => receipt(xml, "A001", "soggetto non trovato", ""),
            }
        } else if xml.contains("SceltaMedicoRichiesta") {
            self.choose(xml, &id)
        } else if xml.contains("VariazioniRichiesta") {
            self.tell(xml)
        } else {
            fault()
        };
        if answer.contains("<codEsito>0000<") {
            self.answered.insert(id, answer.clone());
        }
        answer
    }

    fn find(&self, xml: &str) -> Option<&Person> {
        let identity = value(xml, "identificativo");
        let tag = xml.split("identificativo").nth(1).unwrap_or_default();
        let scheme = between(tag, "tipo=\"", "\"");
        self.people.iter().find(|person| match &*scheme {
            "ANA" => person.ana == identity,
            "CF" => person.tax_code == identity,
            "STP" => person.stp == identity,
            _ => false,
        })
    }

    fn choose(&mut self, xml: &str, id: &str) -> String {
        let Some(person) = self.find(xml).cloned() else {
            return receipt(xml, "A001", "soggetto non trovato", "");
        };
        if !person.death.is_empty() {
            return receipt(xml, "A007", "soggetto deceduto", "");
        }
        let (operation, practitioner) = (value(xml, "operazione"), value(xml, "codiceFiscaleMedico"));
        let from = value(xml, "dataDecorrenza");
        if self.practitioners.as_ref().is_some_and(|known| !known.contains(&practitioner)) {
            return receipt(xml, "A003", "medico non in servizio", "");
        }
        self.noted.push(Noted {
            id: id.to_owned(),
            person: value(xml, "identificativo"),
            operation: operation.clone(),
            practitioner: practitioner.clone(),
        });
        if let Some(known) = self.people.iter_mut().find(|known| known.ana == person.ana) {
            let chosen = [practitioner, "MEDICO".to_owned(), "UNO".to_owned(), from.clone()];
            known.practitioner = (operation != "R").then_some(chosen);
        }
        let protocol = format!("P{}", self.noted.len());
        let inside = format!("<protocollo>{protocol}</protocollo><dataDecorrenza>{from}</dataDecorrenza>");
        receipt(xml, "0000", "", &inside)
    }

    fn tell(&self, xml: &str) -> String {
        let after: usize = value(xml, "dopoProgressivo").parse().unwrap_or(0);
        let count: usize = value(xml, "numeroMassimo").parse().unwrap_or(0);
        let wanted = self.variations.iter().enumerate().skip(after).take(count);
        let told: String = wanted
            .map(|(at, (what, person))| {
                let (number, person) = (at + 1, person.to_xml());
                format!(
                    "<variazione><progressivo>{number}</progressivo><tipo>{what}</tipo>{person}</variazione>"
                )
            })
            .collect();
        let is_more = after + count < self.variations.len();
        receipt(xml, "0000", "", &format!("{told}<altre>{is_more}</altre>"))
    }
}

impl Person {
    fn to_xml(&self) -> String {
        let mut parts = vec![
            ("idANA", self.ana.clone()),
            ("codiceFiscale", self.tax_code.clone()),
            ("validitaCI", "1".to_owned()),
            ("cognome", self.family.clone()),
            ("nome", self.given.clone()),
            ("sesso", self.sex.clone()),
            ("dataNascita", self.birth.clone()),
            ("dataDecesso", self.death.clone()),
        ];
        parts.retain(|(_, text)| !text.is_empty());
        let mut xml = elements(&parts.iter().map(|(name, text)| (*name, text.as_str())).collect::<Vec<_>>());
        if let Some([street, postal_code, town, province]) = &self.residence {
            let inside = elements(&[
                ("indirizzo", street),
                ("cap", postal_code),
                ("comune", town),
                ("provincia", province),
            ]);
            xml += &format!("<residenza>{inside}</residenza>");
        }
        let (region, asl) = &self.authority;
        xml += &format!("<assistenza>{}</assistenza>", elements(&[("codRegione", region), ("codASL", asl)]));
        if let Some([tax_code, family, given, from]) = &self.practitioner {
            let inside = elements(&[
                ("codiceFiscale", tax_code),
                ("cognome", family),
                ("nome", given),
                ("dataScelta", from),
            ]);
            xml += &format!("<medico>{inside}</medico>");
        }
        format!("<assistito>{xml}</assistito>")
    }
}

fn elements(parts: &[(&str, &str)]) -> String {
    parts.iter().map(|(name, text)| format!("<{name}>{}</{name}>", escape(*text))).collect()
}

/// Writes the answer to a message.
fn receipt(xml: &str, code: &str, error: &str, inside: &str) -> String {
    let stems = ["VerificaAssistito", "SceltaMedico", "Variazioni"];
    let stem = stems.into_iter().find(|stem| xml.contains(&format!("{stem}Richiesta"))).unwrap_or_default();
    let errors = match error {
        "" => String::new(),
        error => format!(
            "<elencoErrori><errore><codEsito>{code}</codEsito><esito>{error}</esito></errore></elencoErrori>"
        ),
    };
    let id = value(xml, "idMessaggio");
    format!(
        "<?xml version='1.0' encoding='UTF-8'?>\n<S:Envelope xmlns:S='http://schemas.xmlsoap.org/soap/envelope/'><S:Body>\
         <{stem}Ricevuta xmlns='{NAMESPACE}'><idMessaggio>{id}</idMessaggio><codEsito>{code}</codEsito>{errors}{inside}\
         </{stem}Ricevuta></S:Body></S:Envelope>"
    )
}

fn fault() -> String {
    "<S:Envelope xmlns:S='http://schemas.xmlsoap.org/soap/envelope/'><S:Body><S:Fault><faultcode>S:Server</faultcode>\
     <faultstring>errore interno</faultstring></S:Fault></S:Body></S:Envelope>"
        .to_owned()
}

/// Returns the text of the first element of a name, whatever its prefix.
fn value(xml: &str, name: &str) -> String {
    let text = xml.split('<').find_map(|part| {
        let (tag, text) = part.split_once('>')?;
        let local = tag.split([' ', '/']).next()?.rsplit(':').next()?;
        (local == name).then_some(text)
    });
    unescape(text.unwrap_or_default()).map(std::borrow::Cow::into_owned).unwrap_or_default()
}

fn between(text: &str, begin: &str, end: &str) -> String {
    let rest = text.split_once(begin).map_or("", |(_, rest)| rest);
    rest.split_once(end).map_or("", |(found, _)| found).to_owned()
}
