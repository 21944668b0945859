package import GuardJSON

/// Why a request is refused before anything judged its text. Content-free: names fields, never their values.
package struct RequestError: Error, Sendable, Hashable, CustomStringConvertible {
    package enum Code: String, Sendable {
        /// Malformed JSON, a wrong type, a number out of range, an unknown content part.
        case invalidRequest = "invalid_request"
        /// A field that changes the prompt unseen, or any unknown field under `unknownFields: refuse`.
        case fieldNotAllowed = "field_not_allowed"
    }

    package var code: Code
    /// 400 for all that this module refuses.
    package var status: Int { 400 }
    /// JSON Pointer of the field; its keys are the schema's own words, or positions, so that it may be logged.
    package var param: String?
    package var message: String
    /// Byte offset into the body.
    package var offset: Int?

    package init(_ code: Code, param: String?, message: String, offset: Int?) {
        self.code = code
        self.param = param
        self.message = message
        self.offset = offset
    }

    package init(_ error: JSONError) {
        self.init(
            .invalidRequest, param: nil, message: "The request body is not valid JSON: \(error)", offset: error.offset)
    }

    package var description: String { message }
}
