/// Finds literals that every match of a pattern must hold.
enum LiteralExtraction {
    static func required(_ source: String, caseless: Bool, isRaw: Bool) -> RequiredLiterals { .unknown }
}
