//! The tables that fixed statements use, for diesel. Keep in step with
//! `migrations/sqlite`. The index tables are written by `index_tables.rs`.

diesel::table! {
    resource (key) {
        key -> BigInt,
        #[sql_name = "ref"]
        reference -> BigInt,
        #[sql_name = "type"]
        type_code -> Integer,
        type_name -> Text,
        id -> Text,
        version -> Integer,
        updated -> BigInt,
        operation -> Integer,
        deleted -> Integer,
        hole -> Integer,
        body -> Binary,
        index_keys -> Binary,
    }
}

diesel::table! {
    version (updated) {
        updated -> BigInt,
        superseded -> BigInt,
        key -> BigInt,
        #[sql_name = "version"]
        number -> Integer,
        #[sql_name = "type"]
        type_code -> Integer,
        operation -> Integer,
        deleted -> Integer,
        hole -> Integer,
        body -> Binary,
    }
}

diesel::table! {
    dictionary (id) {
        id -> BigInt,
        #[sql_name = "type"]
        type_code -> Integer,
        bytes -> Binary,
    }
}

diesel::table! {
    counter (type_code) {
        #[sql_name = "type"]
        type_code -> Integer,
        live -> BigInt,
    }
}

diesel::table! {
    setting (name) {
        name -> Text,
        value -> Text,
    }
}

diesel::table! {
    search_parameter (key) {
        key -> BigInt,
        signature -> BigInt,
        requested -> BigInt,
        indexed -> Integer,
    }
}

diesel::table! {
    reindex (type_code) {
        #[sql_name = "type"]
        type_code -> Integer,
        requested -> BigInt,
        position -> BigInt,
    }
}

diesel::table! {
    closure (id) {
        id -> BigInt,
        name -> Text,
        version -> Integer,
    }
}

diesel::table! {
    closure_concept (closure, position) {
        closure -> BigInt,
        position -> BigInt,
        system -> Text,
        system_version -> Text,
        code -> Text,
    }
}

diesel::table! {
    closure_relation (closure, added, source, target) {
        closure -> BigInt,
        added -> BigInt,
        source -> BigInt,
        target -> BigInt,
        equivalence -> Text,
    }
}

diesel::table! {
    package_definition (key) {
        key -> BigInt,
        version -> Integer,
    }
}

diesel::table! {
    content (key, version) {
        key -> BigInt,
        version -> Integer,
        sha256 -> Binary,
        size -> BigInt,
    }
}

diesel::table! {
    once (key) {
        key -> Binary,
        fingerprint -> Binary,
        performed -> Binary,
        answer -> Binary,
    }
}

diesel::table! {
    outbox (position) {
        position -> BigInt,
        id -> Text,
        destination -> Text,
        lane -> Text,
        kind -> Text,
        cause -> Text,
        content_type -> Text,
        body -> Binary,
        queued -> BigInt,
        tries -> BigInt,
        failing -> BigInt,
        given_up -> Integer,
        why -> Text,
    }
}

diesel::table! {
    inbound_message (number) {
        number -> BigInt,
        sender -> Text,
        at -> BigInt,
        message -> Binary,
        answer -> Nullable<Binary>,
        failures -> BigInt,
        failing -> BigInt,
        set_aside -> Integer,
        why -> Text,
    }
}

diesel::joinable!(version -> resource (key));
diesel::allow_tables_to_appear_in_same_query!(resource, version, search_parameter, package_definition);
