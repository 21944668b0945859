internal import GuardYAML

extension RuleCompiler {
    /// `lint: {ignore: [ids], reason: …}`: what `guardctl lint` is not to say of this rule. Nothing here acts on it; it is
    /// read so that a mistake in it is an error.
    func checkLint(_ reader: YAMLReader) {
        guard let map = reader.mapping(keys: ["ignore", "reason"]) else { return }
        let ids = map.required("ignore", in: "'lint'")?.oneOrMore { $0.nonEmptyString() }
        if ids?.isEmpty == true { map.report(key: "ignore", "names nothing to ignore") }
        _ = map.required("reason", in: "'lint'")?.nonEmptyString()
    }
}
