use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;

use super::super::tests::tgz;
use super::*;

const OWN: &str = r#"{"name":"a","version":"1"}"#;

/// Makes an archive of entries written as they are, past the checks of `tar`.
fn raw(entries: &[(EntryType, &[u8], &[u8])]) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), Compression::fast());
    for (kind, path, content) in entries {
        let mut header = tar::Header::new_gnu();
        header.as_mut_bytes()[..path.len()].copy_from_slice(path);
        header.set_entry_type(*kind);
        header.set_size(content.len() as u64);
        header.set_cksum();
        out.write_all(header.as_bytes()).expect("written");
        out.write_all(content).expect("written");
        out.write_all(&vec![0; content.len().next_multiple_of(512) - content.len()]).expect("written");
    }
    out.write_all(&[0; 1024]).expect("written");
    out.finish().expect("finished")
}

fn read(tgz: &[u8]) -> Result<Vec<String>, PackageError> {
    let mut files = Vec::new();
    each_file(tgz, |file, _| {
        files.push(file.to_owned());
        Ok(())
    })?;
    Ok(files)
}

#[test]
fn a_path_that_leads_out_is_refused() {
    let long = format!("{}/../x.json\0", "a/".repeat(80));
    for path in
        ["../x.json", "package/../../x.json", "/etc/x.json", "package/..\\x.json", "C:\\x.json", "\\x"]
    {
        let bytes = raw(&[
            (EntryType::Regular, b"package/package.json", OWN.as_bytes()),
            (EntryType::Regular, path.as_bytes(), b"{}"),
        ]);
        assert!(matches!(read(&bytes), Err(PackageError::Path(at)) if at == path), "{path}");
    }
    let bytes = raw(&[
        (EntryType::Regular, b"package/package.json", OWN.as_bytes()),
        (EntryType::GNULongName, b"././@LongLink", long.as_bytes()),
        (EntryType::Regular, b"package/x.json", b"{}"),
    ]);
    assert!(matches!(read(&bytes), Err(PackageError::Path(_))));
    // A name that only looks like it is one.
    let bytes = raw(&[
        (EntryType::Regular, b"package/package.json", OWN.as_bytes()),
        (EntryType::Regular, b"package/..x.json", b"{}"),
    ]);
    assert_eq!(read(&bytes).expect("read"), ["..x.json"]);
}

#[test]
fn links_and_devices_are_refused() {
    for kind in [EntryType::Symlink, EntryType::Link, EntryType::Char, EntryType::Block, EntryType::Fifo] {
        let bytes = raw(&[
            (EntryType::Regular, b"package/package.json", OWN.as_bytes()),
            (kind, b"package/x.json", b""),
        ]);
        assert!(matches!(read(&bytes), Err(PackageError::NoFile(_))), "{kind:?}");
    }
    #[cfg(unix)]
    {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join(MANIFEST), OWN).expect("written");
        std::os::unix::fs::symlink("/etc/hostname", folder.path().join("x.json")).expect("linked");
        let read = each_file_of_folder(folder.path(), |_, _| Ok(()));
        assert!(matches!(read, Err(PackageError::NoFile(at)) if at == "x.json"));
    }
}

#[test]
fn long_paths_are_read_as_gnu_and_pax_tell_them() {
    let name = format!("package/{}.json", "n".repeat(150));
    let record = |text: &str| {
        let length = (1..).find(|l: &usize| l.to_string().len() + 1 + text.len() + 1 == *l).unwrap_or(0);
        format!("{length} {text}\n")
    };
    let pax = record(&format!("path={name}"));
    for (kind, told) in [(EntryType::GNULongName, format!("{name}\0")), (EntryType::XHeader, pax)] {
        let bytes = raw(&[
            (kind, b"told", told.as_bytes()),
            (EntryType::Regular, b"package/short", b"{}"),
            (EntryType::Regular, b"package/package.json", OWN.as_bytes()),
        ]);
        assert_eq!(read(&bytes).expect("read"), [&name[8..]], "{kind:?}");
    }
    let long = vec![b'a'; 1 << 20];
    let bytes = raw(&[(EntryType::GNULongName, b"told", &long)]);
    assert!(matches!(read(&bytes), Err(PackageError::TooLarge(_))));
}

#[test]
fn what_decompresses_to_far_more_than_it_is_is_read_no_further() {
    let mut out = GzEncoder::new(Vec::new(), Compression::fast());
    let mut header = tar::Header::new_gnu();
    header.set_path("package/big.bin").expect("a path");
    header.set_size(8 << 30);
    header.set_cksum();
    out.write_all(header.as_bytes()).expect("written");
    let zeros = vec![0; 1 << 20];
    for _ in 0..200 {
        out.write_all(&zeros).expect("written");
    }
    let bytes = out.finish().expect("finished");
    assert!(bytes.len() < 2 << 20);
    let started = std::time::Instant::now();
    assert!(matches!(read(&bytes), Err(PackageError::TooLarge(_))));
    assert!(manifest_of(bytes.as_slice()).is_err());
    assert!(started.elapsed().as_secs() < 5);
}

#[test]
fn what_a_header_promises_must_come() {
    let mut header = tar::Header::new_gnu();
    header.set_path("package/x.json").expect("a path");
    for (size, is_too_large) in [(RESOURCE_BYTES_MAX + 1, true), (1 << 20, false), (u64::MAX, false)] {
        header.set_size(size);
        header.set_cksum();
        let mut out = GzEncoder::new(Vec::new(), Compression::fast());
        out.write_all(header.as_bytes()).expect("written");
        out.write_all(b"{}").expect("written");
        let error = read(&out.finish().expect("finished")).expect_err("refused");
        assert_eq!(matches!(error, PackageError::TooLarge(_)), is_too_large, "{size}: {error}");
    }
}

#[test]
fn the_manifest_is_there_once() {
    let own = ("package/package.json", OWN);
    for (files, is_read) in [
        (vec![own], true),
        (vec![own, own], false),
        (vec![("package/package.json", "{}")], false),
        (vec![("package/package.json", "[[[[")], false),
        (vec![("package.json", OWN)], false),
        (vec![], false),
    ] {
        assert_eq!(read(&tgz(&files)).is_ok(), is_read, "{files:?}");
    }
    let deep = format!(r#"{{"name":{}"#, "[".repeat(100_000));
    assert!(read(&tgz(&[("package/package.json", &deep)])).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..4096)) {
        let _ = read(&bytes);
        let _ = manifest_of(bytes.as_slice());
        // The same, as the content of a gzip file.
        let mut out = GzEncoder::new(Vec::new(), Compression::fast());
        out.write_all(&bytes).expect("written");
        let _ = read(&out.finish().expect("finished"));
    }

    #[test]
    fn no_change_of_a_package_makes_it_panic(
        changes in proptest::collection::vec((0usize..4096, any::<u8>()), 1..12),
        cut in proptest::option::of(0usize..4096),
    ) {
        let mut plain = Vec::new();
        let resource = r#"{"resourceType":"ValueSet","url":"http://x","status":"active"}"#;
        let whole = tgz(&[("package/package.json", OWN), ("package/ValueSet-x.json", resource)]);
        GzDecoder::new(whole.as_slice()).read_to_end(&mut plain).expect("whole");
        for (at, byte) in changes {
            let at = at % plain.len();
            plain[at] = byte;
        }
        plain.truncate(cut.unwrap_or(plain.len()));
        let mut out = GzEncoder::new(Vec::new(), Compression::fast());
        out.write_all(&plain).expect("written");
        let changed = out.finish().expect("finished");
        let _ = read(&changed);
        let _ = super::super::Package::read(changed.as_slice());
    }
}
