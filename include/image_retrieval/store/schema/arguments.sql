-- Checks the arguments of the functions of schema images. Errors name the argument.


-- Invisible characters, as in values.py: spaces, controls, formats, fillers and variation selectors.
CREATE OR REPLACE FUNCTION retrieval.is_blank(words text) RETURNS boolean
LANGUAGE sql IMMUTABLE STRICT
RETURN words ~ '^[\u0001-\u0020\u007f-\u00a0\u00ad\u034f\u061c\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f\u2000-\u200f\u2028-\u202f\u205f-\u206f\u2800\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0\U000e0000-\U000e0fff]*$';
COMMENT ON FUNCTION retrieval.is_blank IS 'Whether a text has no visible character.';


CREATE OR REPLACE FUNCTION retrieval.checked_number(name text, value double precision, least_value double precision, most double precision)
RETURNS double precision
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF value IS NULL OR value BETWEEN least_value AND most THEN  -- NaN is larger than any number
        RETURN value;
    END IF;
    RAISE EXCEPTION '% must be a number from % to %, not %', name, least_value, most, value;
END
$$;
COMMENT ON FUNCTION retrieval.checked_number IS 'The number if it is within bounds, or null; an error that names it if it is not, or NaN.';
