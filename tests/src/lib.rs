//! The running binary, as tests start, ask, kill and restart it.

pub mod http;
pub mod mllp;
pub mod nodes;
pub mod token_service;

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::Value;

/// An answer of the server.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// Returns the body as JSON; `Null` when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// Returns a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// Returns the `id` of the resource in the body.
    pub fn id(&self) -> String {
        self.json()["id"].as_str().unwrap_or_default().to_owned()
    }
}

/// A client with connections of its own.
#[derive(Clone)]
pub struct Client {
    agent: ureq::Agent,
    base: String,
}

impl Client {
    /// Sends a request; `Err` when no whole answer came.
    ///
    /// # Errors
    /// What the connection ended with.
    pub fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Answer, String> {
        let url = if path.starts_with("http") { path.to_owned() } else { format!("{}/{path}", self.base) };
        let mut request = ureq::http::Request::builder().method(method).uri(&url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body.to_vec()).map_err(|e| e.to_string())?;
        let mut response = self.agent.run(request).map_err(|e| e.to_string())?;
        let headers = response.headers().iter();
        let headers =
            headers.map(|(n, v)| (n.as_str().to_owned(), v.to_str().unwrap_or("").to_owned())).collect();
        let status = response.status().as_u16();
        let body =
            response.body_mut().with_config().limit(1 << 30).read_to_vec().map_err(|e| e.to_string())?;
        Ok(Answer { status, headers, body })
    }

    /// Gets a path below the base, or a whole URL.
    ///
    /// # Panics
    /// When no whole answer came.
    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], &[]).unwrap_or_else(|e| panic!("GET {path}: {e}"))
    }

    /// Sends JSON.
    ///
    /// # Errors
    /// What the connection ended with.
    pub fn json(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Result<Answer, String> {
        let mut all = vec![("content-type", "application/fhir+json")];
        all.extend_from_slice(headers);
        self.send(method, path, &all, body.to_string().as_bytes())
    }

    /// Creates a resource and returns the answer.
    ///
    /// # Panics
    /// When no whole answer came.
    pub fn create(&self, resource: &Value) -> Answer {
        let of = resource["resourceType"].as_str().unwrap_or_default();
        self.json("POST", of, &[], resource).unwrap_or_else(|e| panic!("POST {of}: {e}"))
    }
}

/// A server that runs.
pub struct Server {
    child: Child,
    port: u16,
}

/// Returns the binary, built once for all tests of the process.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let here = std::env::current_exe().expect("the path of this program");
        // A test is in a folder below that of its profile.
        let folder = here.ancestors().skip(1).find(|folder| !folder.ends_with("deps"));
        let profile = folder.expect("the folder of the profile").to_owned();
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "--package", "fhir-server", "--bin", "lanterna"]);
        if profile.ends_with("release") {
            build.arg("--release");
        }
        // What cargo tells of this package is none of the build's: ring would be built anew for it,
        // and all that stands on it, and once more for who builds without tests.
        let of_this = |name: &str| ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|of| name.starts_with(of));
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(of_this)) {
            build.env_remove(name);
        }
        if let Some(target) = profile.parent() {
            build.arg("--target-dir").arg(target);
        }
        let built = build.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).status();
        assert!(built.is_ok_and(|status| status.success()), "lanterna cannot be built");
        profile.join("lanterna")
    })
}

impl Server {
    /// Starts a server on a data folder.
    pub fn start(data: &Path) -> Server {
        Server::start_with(data, &[], &[])
    }

    /// Starts a server with more arguments and environment.
    ///
    /// # Panics
    /// When it does not get ready in 60 seconds.
    pub fn start_with(data: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Server {
        Server::start_until(data, arguments, environment, |server| {
            let url = format!("{}/health/ready", server.origin());
            server.client().send("GET", &url, &[], &[]).is_ok_and(|answer| answer.status == 200)
        })
    }

    /// Starts a server with TLS, which may let in only those who show themselves.
    ///
    /// # Panics
    /// When it does not listen in 60 seconds.
    pub fn start_secure(data: &Path, arguments: &[&str]) -> Server {
        Server::start_until(data, arguments, &[], |server| {
            TcpStream::connect(("127.0.0.1", server.port)).is_ok()
        })
    }

    fn start_until(
        data: &Path,
        arguments: &[&str],
        environment: &[(&str, &str)],
        is_ready: impl Fn(&Server) -> bool,
    ) -> Server {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port();
        let child = Command::new(binary())
            .args(["serve", "--log", "error", "--listen", &format!("127.0.0.1:{port}"), "--data"])
            .arg(data)
            // Many run at once.
            .args(if arguments.contains(&"--mllp") { [].as_slice() } else { &["--mllp", "off"] })
            .args(arguments)
            .envs(environment.iter().copied())
            .stderr(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("started");
        let server = Server { child, port };
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(60) {
            if is_ready(&server) {
                return server;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the server did not get ready");
    }

    /// Returns the address below which it serves, without `/fhir`.
    pub fn origin(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Returns the port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Makes a client.
    pub fn client(&self) -> Client {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(60)))
            .allow_non_standard_methods(true)
            .max_idle_connections(4)
            .build();
        Client { agent: config.into(), base: format!("http://127.0.0.1:{}/fhir", self.port) }
    }

    /// Kills it, as a power failure of the process would.
    pub fn kill(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Kills it likewise, and leaves it to be dropped.
    pub fn kill_now(&self) {
        let _ = Command::new("kill").args(["-KILL", &self.child.id().to_string()]).status();
    }

    /// Asks it to end, and returns its exit code.
    pub fn terminate(mut self) -> Option<i32> {
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        self.child.wait().ok().and_then(|status| status.code())
    }

    /// Asks it to end, without waiting.
    pub fn ask_to_end(&self) {
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns a number of the environment, such as how often a test repeats.
pub fn repeats(variable: &str, default: usize) -> usize {
    std::env::var(variable).ok().and_then(|v| v.parse().ok()).unwrap_or(default)
}

/// Numbers that look random and are the same in each run.
pub struct Numbers(u64);

impl Numbers {
    /// Starts from a seed.
    pub fn new(seed: u64) -> Numbers {
        Numbers(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Returns the next number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end.max(1)
    }
}
