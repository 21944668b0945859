import GuardJSON

/// What one endpoint's JSON means. Everything that differs between APIs is behind this protocol; views, streams and
/// edits are the same for all.
protocol EndpointSchema {
    /// Reads a request body.
    static func read(request: inout RequestReader) throws(RequestError)
    /// Reads a whole answer (status 200) body.
    static func read(answer root: JSONNode, into reader: inout AnswerReader)
    /// Reads one event of a streamed answer. `reader` collects texts, sides, ends and usage.
    static func read(event root: JSONNode, into reader: inout AnswerReader)
}
