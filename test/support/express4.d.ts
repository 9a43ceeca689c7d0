/** The alias under which Express 4 is installed; the types of Express 5 are sufficient for the tests. */
declare module 'express4' {
  import express from 'express';
  export default express;
}
