//! The tables, for diesel. Keep in step with `migrations/sqlite`.

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
    version (key, number) {
        key -> BigInt,
        #[sql_name = "version"]
        number -> Integer,
        #[sql_name = "type"]
        type_code -> Integer,
        updated -> BigInt,
        operation -> Integer,
        deleted -> Integer,
        hole -> Integer,
        body -> Binary,
    }
}

diesel::table! {
    equal (hash, key) {
        hash -> BigInt,
        key -> BigInt,
    }
}

diesel::table! {
    link (target, branch, key) {
        target -> BigInt,
        branch -> Integer,
        key -> BigInt,
    }
}

diesel::table! {
    pair (focus, value, key) {
        focus -> BigInt,
        value -> BigInt,
        key -> BigInt,
    }
}

diesel::table! {
    span (hash, low, high, key) {
        hash -> BigInt,
        low -> BigInt,
        high -> BigInt,
        key -> BigInt,
    }
}

diesel::table! {
    text (branch, folded, key) {
        branch -> Integer,
        folded -> Text,
        key -> BigInt,
    }
}

diesel::table! {
    counter (type_code) {
        #[sql_name = "type"]
        type_code -> Integer,
        live -> BigInt,
    }
}

diesel::joinable!(version -> resource (key));
diesel::allow_tables_to_appear_in_same_query!(resource, version);
